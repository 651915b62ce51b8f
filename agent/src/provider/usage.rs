//! What a round used: tokens (input without what came from the cache), cost, time, model.

use serde_json::{Map, Value};

use super::classify::last;
use super::number::{count, finite, number, text};
use super::rules::Pointers;
use super::scan::RoundFacts;
use super::usage_rule::{Breakdown, Elapsed, Input, Model, Take, Usage, ZeroCost, ZeroTokens};
use crate::event::Event;
use crate::store::time;

/// What `model` says when nothing else is known.
const UNKNOWN: &str = "unknown";

/// What the usage is computed from.
pub(super) struct Evidence<'a> {
    pub(super) records: &'a [&'a Value],
    /// The first lines of the log.
    pub(super) head: &'a [Value],
    /// Number of tool calls that were seen.
    pub(super) calls: usize,
    pub(super) failed: bool,
}

/// Returns the usage, if the agent told any.
pub(super) fn usage(rule: &Usage, evidence: &Evidence<'_>, round: &RoundFacts) -> Option<Event> {
    let newest = last(evidence.records, &rule.when, &rule.if_any)?;
    let counted: Vec<&Value> = match rule.take {
        Take::Last => vec![newest],
        Take::Sum => evidence.records.iter().copied().filter(|record| rule.when.hold(record)).collect(),
    };
    let sum = |pointers: &Pointers| {
        counted.iter().map(|record| count(record, pointers)).fold(0i64, i64::saturating_add)
    };
    let (output, cached) = (sum(&rule.output_tokens), sum(&rule.cached_tokens));
    let (input, created) = (sum(&rule.input_tokens), sum(&rule.cache_creation_tokens));
    if rule.zero_tokens == ZeroTokens::Ignore && [input, output, cached, created] == [0; 4] {
        return None;
    }
    let calls = match rule.tool_call_count.0.as_slice() {
        [] => i64::try_from(evidence.calls).unwrap_or(i64::MAX),
        [..] => sum(&rule.tool_call_count),
    };
    let elapsed = rule.elapsed.as_ref().and_then(|elapsed| between(elapsed, evidence.head, newest));
    Some(Event::AgentUsageRecorded {
        agent: round.agent.clone(),
        model: model(&rule.model, newest, evidence.records).unwrap_or_else(|| UNKNOWN.into()),
        round_num: round.round_num,
        input_tokens: match rule.input_is {
            Input::Net => input,
            Input::Gross => input.saturating_sub(cached).max(0),
        },
        output_tokens: output,
        cached_tokens: cached,
        cost_usd: cost(rule, &counted),
        duration_ms: elapsed.unwrap_or_else(|| count(newest, &rule.duration_ms)),
        models_breakdown: rule.breakdown.as_ref().and_then(|rule| breakdown(rule, newest)),
        cache_creation_tokens: created,
        tool_call_count: calls,
        phase: round.phase.clone().unwrap_or_default(),
        success: round.ok() && !evidence.failed,
    })
}

fn cost(rule: &Usage, counted: &[&Value]) -> Option<f64> {
    let costs = counted.iter().filter_map(|record| number(record, &rule.cost_usd));
    let total = costs.reduce(|sum, cost| sum + cost).filter(|total| total.is_finite());
    match rule.zero_cost {
        ZeroCost::Free => total,
        ZeroCost::Unknown => total.filter(|total| *total != 0.0),
    }
}

fn model(rule: &Model, newest: &Value, records: &[&Value]) -> Option<String> {
    if let Some(pointer) = &rule.key_of {
        let models = newest.pointer(pointer)?.as_object()?;
        let size =
            |entry: &Value| rule.largest.as_deref().and_then(|at| finite(entry.pointer(at)?)).unwrap_or(0.0);
        // The first of equals, as written.
        let largest =
            models.iter().reduce(|best, next| if size(next.1) > size(best.1) { next } else { best });
        return largest.map(|(name, _)| name.clone());
    }
    let name = |record: &Value| {
        let part = |pointer: &String| text(record, &Pointers(vec![pointer.clone()])).map(str::to_owned);
        let parts: Vec<String> = rule.at.0.iter().filter_map(part).filter(|part| !part.is_empty()).collect();
        (!parts.is_empty()).then(|| parts.join("/"))
    };
    match &rule.when {
        Some(when) => records.iter().rev().filter(|record| when.hold(record)).find_map(|record| name(record)),
        None => name(newest),
    }
}

fn breakdown(rule: &Breakdown, newest: &Value) -> Option<Value> {
    let models = newest.pointer(&rule.of)?.as_object().filter(|models| models.len() > 1)?;
    let entry = |value: &Value| {
        let mut entry = Map::new();
        entry.insert("total_tokens".into(), count(value, &rule.total_tokens).into());
        entry.insert("input_tokens".into(), count(value, &rule.input_tokens).into());
        entry.insert("output_tokens".into(), count(value, &rule.output_tokens).into());
        entry.insert("cached_tokens".into(), count(value, &rule.cached_tokens).into());
        Value::Object(entry)
    };
    Some(Value::Object(models.iter().map(|(name, value)| (name.clone(), entry(value))).collect()))
}

fn between(rule: &Elapsed, head: &[Value], newest: &Value) -> Option<i64> {
    let start = head.iter().find(|record| rule.from_when.hold(record))?.pointer(&rule.from)?;
    let start = match start.as_str() {
        Some(text) => time::parse(text)?.as_millisecond(),
        None => start.as_i64()?,
    };
    let end = newest.pointer(&rule.to)?.as_i64()?;
    Some(end.saturating_sub(start).max(0))
}
