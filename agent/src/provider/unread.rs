//! Output that no rule reads: a round nobody supervises. Told once for a version of an agent CLI, not round after round.

use std::path::Path;

use serde_json::Value;

use super::classify::last;
use super::record;
use super::rules::Rules;
use super::scan::RoundFacts;
use crate::event::Event;
use crate::masking::mask_and_cut;
use crate::store::record::Record;

/// The kind of event this is about.
pub const KIND: &str = "provider_output_unrecognised";

/// Events looked at for an earlier report.
const LOOKED_AT: usize = 5_000;

/// Returns whether a round's output says nothing to the rules: no line is recognised, or a round that ended well told
/// no usage although its CLI tells it.
pub(super) fn unrecognised(
    rules: &Rules,
    lines: &[Value],
    records: &[&Value],
    round: &RoundFacts,
) -> Option<Event> {
    let known = recognises(rules, lines);
    let used = rules.usage.as_ref().map(|usage| last(records, &usage.when, &usage.if_any).is_some());
    let lost = match (round.ok(), used) {
        (true, Some(used)) => !used,
        (true, None) | (false, Some(_) | None) => !known && !lines.is_empty(),
    };
    lost.then(|| Event::ProviderOutputUnrecognised {
        round_num: round.round_num,
        agent: round.agent.clone(),
        json_lines: i64::try_from(lines.len()).unwrap_or(i64::MAX),
        raw: lines.last().map_or_else(String::new, |newest| mask_and_cut(&newest.to_string(), 200)),
        program: None,
    })
}

fn recognises(rules: &Rules, lines: &[Value]) -> bool {
    let conditions: Vec<_> = rules.recognised_by().collect();
    lines.iter().any(|line| conditions.iter().any(|conditions| conditions.hold(line)))
}

/// Returns whether the rules of an agent that tells no usage recognise its newest log: no event would tell it.
pub fn is_read_again(rules: &Rules, log: &Path) -> bool {
    !rules.reports_usage() && recognises(rules, &record::tail(log))
}

/// Returns the newest report about an agent that still holds: nothing of it has been understood since. `records` are
/// the events, newest first.
pub fn standing(records: impl Iterator<Item = Record>, agent: &str) -> Option<Record> {
    let about = |record: &Record| record.str("agent") == Some(agent);
    let told = |record: &Record| record.kind == KIND || record.kind == "agent_usage_recorded";
    records.take(LOOKED_AT).find(|record| told(record) && about(record)).filter(|record| record.kind == KIND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(lines: &[&str]) -> Vec<Record> {
        lines.iter().rev().map(|line| Record::parse(line.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn a_report_stands_until_the_agent_is_understood_again() {
        let told = r#"{"event":"provider_output_unrecognised","agent":"claude","program":"v1"}"#;
        let understood = r#"{"event":"agent_usage_recorded","agent":"claude"}"#;
        let other = r#"{"event":"agent_usage_recorded","agent":"codex"}"#;
        let standing = |lines: &[&str]| standing(events(lines).into_iter(), "claude").is_some();
        assert!(standing(&[understood, told]));
        assert!(standing(&[told, other]));
        assert!(!standing(&[told, understood]));
        assert!(!standing(&[]));
    }
}
