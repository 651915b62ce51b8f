//! Tool calls: how many, and whether one is repeated.

use serde_json::Value;

use super::number::text;
use super::rules::ToolCall;
use super::scan::RoundFacts;
use crate::event::Event;
use crate::masking::mask;

/// Characters of a target that are compared and shown.
const TARGET_MAX: usize = 100;

/// One tool call; without a name it is only counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    name: Option<String>,
    target: Option<String>,
}

/// Returns the tool calls, in order.
pub(super) fn calls(rules: &[ToolCall], records: &[&Value]) -> Vec<Call> {
    let mut calls = Vec::new();
    for record in records {
        for rule in rules.iter().filter(|rule| rule.when.hold(record)) {
            let blocks = match &rule.each {
                Some(pointer) => {
                    record.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice)
                }
                None => std::slice::from_ref(*record),
            };
            calls.extend(blocks.iter().filter(|block| rule.keep.hold(block)).map(|block| Call {
                name: text(block, &rule.name).map(str::to_owned),
                target: text(block, &rule.target).map(|text| mask(text).chars().take(TARGET_MAX).collect()),
            }));
        }
    }
    calls
}

/// Returns the repetition, when one of the last windows holds one call often enough.
pub(super) fn repetition(calls: &[Call], round: &RoundFacts) -> Option<Event> {
    let window = usize::try_from(round.anomaly_window).ok().filter(|window| *window > 0)?;
    let threshold = usize::try_from(round.anomaly_threshold).ok().filter(|threshold| *threshold > 0)?;
    let named: Vec<(&str, Option<&str>)> =
        calls.iter().filter_map(|call| Some((call.name.as_deref()?, call.target.as_deref()))).collect();
    let last_start = named.len().checked_sub(threshold)?;
    (named.len().saturating_sub(window)..=last_start).find_map(|start| {
        let slice = named.get(start..named.len().min(start + window))?;
        let (pair, count) = most_common(slice)?;
        (count >= threshold).then(|| Event::AnomalyRepetitiveTool {
            round_num: round.round_num,
            tool_name: pair.0.to_owned(),
            target: pair.1.map(str::to_owned),
            count: i64::try_from(count).unwrap_or(i64::MAX),
            window: i64::try_from(window).unwrap_or(i64::MAX),
        })
    })
}

/// Returns the item there is most of; of two, the one that came first.
fn most_common<'a>(items: &[(&'a str, Option<&'a str>)]) -> Option<((&'a str, Option<&'a str>), usize)> {
    let count = |item| items.iter().filter(|other| *other == item).count();
    let counted = items.iter().map(|item| (*item, count(item)));
    counted.reduce(|best, next| if next.1 > best.1 { next } else { best })
}
