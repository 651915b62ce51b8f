//! The treadmill: rounds that are busy while no goal check moves. Advisory, pure, and reads no further back than the
//! episode goes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::event::Event;
use crate::store::record::Record;

/// Rounds that have to look alike.
const ROUNDS: usize = 3;

/// Lines looked at; a longer episode was assessed long ago.
const LINES_MAX: usize = 50_000;

/// What one round did.
#[derive(Debug, Clone, PartialEq, Default)]
struct RoundFacts {
    is_active: bool,
    head_before: Option<Value>,
    head_after: Option<Value>,
    /// Each check's `satisfied` and `value`.
    checks: BTreeMap<String, (Value, Value)>,
    is_assessed: bool,
}

/// Returns the assessment to make before round `current`, if one is due. `newest_first` are the records of the newest
/// two event files; it is read only as far as needed.
pub fn assess(newest_first: impl Iterator<Item = Record>, current: i64) -> Option<Event> {
    let mut rounds =
        Rounds { records: newest_first.take(LINES_MAX), current, pending: Vec::new(), ahead: None };
    let newest = rounds.next().filter(RoundFacts::is_stuck)?;
    if newest.is_assessed {
        return None;
    }
    let mut alike = 1;
    for round in rounds {
        if !round.is_stuck() || round.checks != newest.checks {
            break;
        }
        if round.is_assessed {
            return None;
        }
        alike += 1;
    }
    (alike >= ROUNDS).then(|| assessment(alike, &newest))
}

impl RoundFacts {
    fn is_stuck(&self) -> bool {
        let is_busy = self.is_active || self.head_before != self.head_after;
        is_busy
            && !self.checks.is_empty()
            && !self.checks.values().all(|(satisfied, _)| *satisfied == Value::Bool(true))
    }

    fn learn(&mut self, record: &Record) {
        let head = || Some(record.get("git_head").cloned().unwrap_or(Value::Null));
        match record.kind.as_str() {
            "dirty_detected" | "dirty_auto_committed" => self.is_active = true,
            "round_substrate_before" => self.head_before = head(),
            "round_substrate_after" => self.head_after = head(),
            "goal_assessment" => self.is_assessed = true,
            "goal_check" if record.bool("skipped") != Some(true) => {
                let name = record.str("name").unwrap_or_default().to_owned();
                let field = |name: &str| record.get(name).cloned().unwrap_or(Value::Null);
                self.checks.insert(name, (field("satisfied"), field("value")));
            }
            _ => {}
        }
    }
}

/// Rounds before the current one, the newest first. An event without a number belongs to the round named before it.
struct Rounds<I> {
    records: I,
    current: i64,
    /// Events without a number, which belong to the next number found going back.
    pending: Vec<Record>,
    /// The first record of the next older round.
    ahead: Option<Record>,
}

impl<I: Iterator<Item = Record>> Iterator for Rounds<I> {
    type Item = RoundFacts;

    fn next(&mut self) -> Option<RoundFacts> {
        let mut facts = RoundFacts::default();
        let mut number = None;
        while let Some(record) = self.ahead.take().or_else(|| self.records.next()) {
            let Some(own) = record.round_num() else {
                self.pending.push(record);
                continue;
            };
            if own >= self.current {
                self.pending.clear();
                continue;
            }
            if number.is_some_and(|number| number != own) {
                self.ahead = Some(record);
                break;
            }
            number = Some(own);
            for record in self.pending.drain(..).chain([record]) {
                facts.learn(&record);
            }
        }
        // A round that began without its substrate (a stand-alone one) says nothing about HEAD.
        if facts.head_before.is_none() || facts.head_after.is_none() {
            facts.head_before = None;
            facts.head_after = None;
        }
        number.map(|_| facts)
    }
}

fn assessment(rounds: usize, facts: &RoundFacts) -> Event {
    let unmet: Vec<&str> = facts
        .checks
        .iter()
        .filter(|(_, (satisfied, _))| *satisfied != Value::Bool(true))
        .map(|(name, _)| name.as_str())
        .collect();
    Event::GoalAssessment {
        observation: format!(
            "The last {rounds} rounds changed the work tree, but no goal check changed its result. Unmet: {}.",
            unmet.join(", ")
        ),
        question: "Is the current approach still moving towards the goal, or is something else in the way?"
            .into(),
        confidence: "medium".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> Vec<Record> {
        lines.iter().rev().map(|line| Record::parse(line.as_bytes()).unwrap()).collect()
    }

    fn round(number: i64, activity: &str, value: i64) -> String {
        let check = format!(
            r#"{{"event": "goal_check", "name": "t", "satisfied": false, "value": {value}, "timed_out": false, "skipped": false}}"#
        );
        let start = format!(r#"{{"event": "round_start", "round_num": {number}}}"#);
        let busy = format!(r#"{{"event": "{activity}", "round_num": {number}}}"#);
        let end = format!(r#"{{"event": "round_end", "round_num": {number}}}"#);
        [start, check, busy, end].join("\n")
    }

    fn check(rounds: &[String], current: i64) -> bool {
        let text = rounds.join("\n");
        let lines: Vec<&str> = text.lines().collect();
        assess(log(&lines).into_iter(), current).is_some()
    }

    #[test]
    fn three_busy_rounds_without_movement_are_assessed_once() {
        let busy = "dirty_detected";
        let stuck: Vec<String> = (1..=3).map(|number| round(number, busy, 5)).collect();
        assert!(check(&stuck, 4));
        assert!(!check(&stuck[..2], 3), "two rounds are too few");
        assert!(!check(&stuck, 3), "the current round does not count");
        let moved = [round(1, busy, 4), stuck[1].clone(), stuck[2].clone()];
        assert!(!check(&moved, 4), "a check moved");
        let idle = [stuck[0].clone(), stuck[1].clone(), round(3, "agent_spawn", 5)];
        assert!(!check(&idle, 4), "an idle round");
        let assessed = r#"{"event": "goal_assessment", "observation": "x"}"#.to_owned();
        let again = [stuck.clone(), vec![assessed.clone(), round(4, busy, 5)]].concat();
        assert!(!check(&again, 5), "the episode was assessed");
        let anew = [vec![round(0, busy, 9), assessed], stuck].concat();
        assert!(check(&anew, 4), "an earlier episode was assessed");
    }

    #[test]
    fn satisfied_checks_and_moved_heads_are_understood() {
        let with = |number: i64, satisfied: bool, after: &str| {
            format!(
                "{{\"event\": \"round_substrate_before\", \"round_num\": {number}, \"git_head\": \"a\"}}\n\
                 {{\"event\": \"goal_check\", \"name\": \"t\", \"satisfied\": {satisfied}, \"value\": null, \"skipped\": false}}\n\
                 {{\"event\": \"round_substrate_after\", \"round_num\": {number}, \"git_head\": \"{after}\"}}"
            )
        };
        let rounds =
            |satisfied, after| (1..=3).map(|number| with(number, satisfied, after)).collect::<Vec<_>>();
        assert!(check(&rounds(false, "b"), 4));
        assert!(!check(&rounds(true, "b"), 4), "the goal is reached");
        assert!(!check(&rounds(false, "a"), 4), "nothing was done");
    }

    #[test]
    fn skipped_checks_say_nothing() {
        let line = r#"{"event": "goal_check", "name": "t", "skipped": true}"#;
        let round =
            |number: i64| format!("{{\"event\": \"dirty_detected\", \"round_num\": {number}}}\n{line}");
        assert!(!check(&[round(1), round(2), round(3)], 4));
    }
}
