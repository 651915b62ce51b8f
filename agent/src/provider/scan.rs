//! From a round's log to events, by one agent's rules. Each emission stands for itself.

use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

use super::classify;
use super::record;
use super::rules::{Rules, Source};
use super::tools;
use super::unread;
use super::usage::{self, Evidence};
use crate::event::Event;

/// The round whose log is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundFacts {
    /// The agent's identity.
    pub agent: String,
    /// The round.
    pub round_num: i64,
    /// Its phase.
    pub phase: Option<String>,
    /// How the agent ended.
    pub exit_code: i64,
    /// Whether the wall clock ended it.
    pub timed_out: bool,
    /// `monitor.anomaly_repetitive_window`
    pub anomaly_window: u64,
    /// `monitor.anomaly_repetitive_threshold`
    pub anomaly_threshold: u64,
}

impl RoundFacts {
    /// Returns whether the agent ended with 0, in time.
    pub fn ok(&self) -> bool {
        self.exit_code == 0 && !self.timed_out
    }
}

/// Reads the end of `log` and returns what it tells, in this order: throttle, refused login, usage, repetition,
/// unrecognised output. A missing log tells nothing.
pub fn scan(log: &Path, rules: &Rules, round: &RoundFacts, now: Timestamp) -> Vec<Event> {
    if !log.exists() {
        return Vec::new();
    }
    let needs_head = rules.usage.as_ref().is_some_and(|usage| usage.elapsed.is_some());
    let head = if needs_head { record::head(log) } else { Vec::new() };
    extract(rules, &Lines { tail: &record::tail(log), head: &head }, round, now)
}

/// The lines of a log that rules look at.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'a> {
    /// JSON objects at its end, oldest first.
    pub tail: &'a [Value],
    /// JSON objects among its first lines.
    pub head: &'a [Value],
}

/// Returns what the lines tell.
pub fn extract(rules: &Rules, lines: &Lines<'_>, round: &RoundFacts, now: Timestamp) -> Vec<Event> {
    let records = records(&rules.records, lines.tail);
    let failed = classify::failed(&rules.error, &records);
    let calls = tools::calls(&rules.tool_call, &records);
    let throttle = classify::throttle(rules, &records, round, now.as_second());
    let auth_error = match throttle {
        Some(_) => None,
        None => classify::auth_error(rules, &records, round),
    };
    let evidence = Evidence { records: &records, head: lines.head, calls: calls.len(), failed };
    let usage = rules.usage.as_ref().and_then(|rule| usage::usage(rule, &evidence, round));
    let repetition = tools::repetition(&calls, round);
    let understood = failed || throttle.is_some() || auth_error.is_some();
    let unrecognised =
        if understood { None } else { unread::unrecognised(rules, lines.tail, &records, round) };
    [throttle, auth_error, usage, repetition, unrecognised].into_iter().flatten().collect()
}

fn records<'a>(sources: &[Source], lines: &'a [Value]) -> Vec<&'a Value> {
    if sources.is_empty() {
        return lines.iter().collect();
    }
    let inside = |source: &Source| -> Vec<&'a Value> {
        let mut found = Vec::new();
        for line in lines.iter().filter(|line| source.when.hold(line)) {
            let at = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| line.pointer(pointer));
            found.extend(at(&source.each).and_then(Value::as_array).into_iter().flatten());
            found.extend(at(&source.at));
        }
        found.retain(|record| record.is_object() && source.keep.hold(record));
        found
    };
    sources.iter().map(inside).find(|found| !found.is_empty()).unwrap_or_default()
}
