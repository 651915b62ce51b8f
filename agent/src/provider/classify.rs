//! Errors a provider reported: throttles, refused logins, use that came to nothing in spite of the exit code.

use serde_json::Value;

use super::condition::Conditions;
use super::number::{any_text, finite, text};
use super::rules::{Class, ErrorRule, Only, Pointers, ResetUnit, Rules, StatusPattern, Throttle};
use super::scan::RoundFacts;
use crate::event::Event;
use crate::masking::mask_and_cut;
use crate::store::time;

/// Characters of foreign text in an event.
const RAW_MAX: usize = 200;

/// Returns the last record that meets `when`, if it also meets one of `if_any`.
pub(super) fn last<'a>(records: &[&'a Value], when: &Conditions, if_any: &[Conditions]) -> Option<&'a Value> {
    let record = records.iter().rev().find(|record| when.hold(record))?;
    (if_any.is_empty() || if_any.iter().any(|conditions| conditions.hold(record))).then_some(*record)
}

/// Returns foreign text as it may stand in an event.
pub(super) fn raw(record: &Value, pointers: &Pointers) -> String {
    mask_and_cut(&any_text(record, pointers).unwrap_or_default(), RAW_MAX)
}

/// Returns whether a rule says that what was used came to nothing.
pub(super) fn failed(rules: &[ErrorRule], records: &[&Value]) -> bool {
    rules.iter().any(|rule| last(records, &rule.when, &rule.if_any).is_some())
}

/// Returns the throttle, if a rule yields one.
pub(super) fn throttle(rules: &Rules, records: &[&Value], round: &RoundFacts, now_s: i64) -> Option<Event> {
    rules.throttle.iter().filter(|rule| applies(rule.only, &rule.exit_codes, round)).find_map(|rule| {
        let record = last(records, &rule.when, &rule.if_any)?;
        let class = class(rule, record)?;
        let shown = match &rule.raw_when {
            Some(when) => last(records, when, &[]).unwrap_or(&Value::Null),
            None => record,
        };
        Some(Event::TransientErrorDetected {
            classification: class.name().into(),
            agent: round.agent.clone(),
            reset_at_epoch: reset(rule, record, now_s).unwrap_or(now_s.saturating_add(class.base_s())),
            round_num: round.round_num,
            raw: raw(shown, &rule.raw),
            phase: round.phase.clone().unwrap_or_default(),
        })
    })
}

/// Returns the refused login, if a rule yields one.
pub(super) fn auth_error(rules: &Rules, records: &[&Value], round: &RoundFacts) -> Option<Event> {
    rules.auth_error.iter().filter(|rule| applies(rule.only, &rule.exit_codes, round)).find_map(|rule| {
        if rule.is_exit_code_alone() {
            let raw = format!("ended with {}", round.exit_code);
            return Some(Event::AgentAuthErrorDetected {
                round_num: round.round_num,
                agent: round.agent.clone(),
                raw,
            });
        }
        let record = last(records, &rule.when, &rule.if_any)?;
        let found = statuses(record, &rule.status, rule.status_pattern.as_ref());
        let refused = rule.statuses.is_empty() || found.iter().any(|status| rule.statuses.contains(status));
        refused.then(|| Event::AgentAuthErrorDetected {
            round_num: round.round_num,
            agent: round.agent.clone(),
            raw: raw(record, &rule.raw),
        })
    })
}

fn applies(only: Only, exit_codes: &[i64], round: &RoundFacts) -> bool {
    let now = match only {
        Only::EveryRound => true,
        Only::FailedRound => !round.ok(),
    };
    now && (exit_codes.is_empty() || exit_codes.contains(&round.exit_code))
}

fn class(rule: &Throttle, record: &Value) -> Option<Class> {
    let found = || statuses(record, &rule.status, rule.status_pattern.as_ref());
    rule.class.or_else(|| found().into_iter().find_map(Class::of_status))
}

/// Returns the integers at the pointers, and the one the pattern finds. Text and bools are no status.
fn statuses(record: &Value, pointers: &Pointers, pattern: Option<&StatusPattern>) -> Vec<i64> {
    let numbers = pointers.0.iter().filter_map(|pointer| record.pointer(pointer)?.as_i64());
    numbers.chain(pattern.and_then(|pattern| in_text(record, pattern)?.parse().ok())).collect()
}

/// Returns the pattern's first group.
fn in_text(record: &Value, pattern: &StatusPattern) -> Option<String> {
    let captures = pattern.regex.0.captures(text(record, &pattern.text)?.as_bytes())?;
    Some(String::from_utf8_lossy(captures.get(1)?.as_bytes()).into_owned())
}

fn reset(rule: &Throttle, record: &Value, now_s: i64) -> Option<i64> {
    let pointed = rule.reset.as_deref().and_then(|pointer| record.pointer(pointer)).cloned();
    let found = || in_text(record, rule.reset_pattern.as_ref()?).map(Value::String);
    let value = pointed.or_else(found)?;
    let number = || finite(&value).filter(|number| *number > 0.0).map(|number| number as i64);
    match rule.reset_unit {
        ResetUnit::EpochS => number(),
        ResetUnit::EpochMs => number().map(|ms| ms / 1000),
        ResetUnit::Iso => Some(time::parse(value.as_str()?)?.as_second()),
        ResetUnit::InS => number().map(|s| now_s.saturating_add(s)),
        // Rounded up: a moment too early is one more refusal.
        ResetUnit::InMs => number().map(|ms| now_s.saturating_add(ms / 1000 + i64::from(ms % 1000 > 0))),
    }
}
