//! The newest events, collected in one pass from the end of the log.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::{Ended, RecentRound};
use crate::store::backward::Lines;
use crate::store::layout::Layout;
use crate::store::record::{Record, glance};

/// Bytes looked back at most, beyond what `--events` asks for.
const BYTES: u64 = 320 * 1024;
/// Rounds shown.
const ROUNDS: usize = 20;
const HOOK_FAILURES: usize = 10;
const BLIPS: usize = 5;
const GROWTH_WARNINGS: usize = 5;
const FINDINGS: usize = 5;

/// What was found, each list in the order of the log.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) events: Vec<Value>,
    pub(super) rounds: Vec<RecentRound>,
    pub(super) hook_failures: Vec<Value>,
    pub(super) blips: Vec<Value>,
    pub(super) growth_warnings: Vec<Value>,
    pub(super) findings: Vec<Value>,
    /// `cgroup_delegated` and `cgroup_path` of the newest `host_cgroup_memory_limit`.
    pub(super) cgroup: Option<(Option<bool>, bool)>,
    /// How the Loop ended, unless a round has started since.
    pub(super) end: Option<Ended>,
    started_since: bool,
}

/// Returns the newest rounds and the newest events, the newest last.
pub fn recent(layout: &Layout, events: usize) -> (Vec<RecentRound>, Vec<Value>) {
    let history = History::of(layout, events);
    (history.rounds, history.events)
}

/// Returns how the Loop ended, unless a round has started since.
pub fn ended(layout: &Layout) -> Option<Ended> {
    History::of(layout, 0).end
}

impl History {
    /// Looks back; `events` newest events are kept whole.
    pub(super) fn of(layout: &Layout, events: usize) -> History {
        let mut history = History::default();
        let mut rounds: BTreeMap<i64, RecentRound> = BTreeMap::new();
        let mut lines = Lines::new(layout.events_files());
        while history.events.len() < events || lines.bytes_read() < BYTES {
            let Some(line) = lines.next() else { break };
            let keep_whole = history.events.len() < events;
            let wanted = |kind: &str| KINDS.contains(&kind) || ENDS.contains(&kind);
            if !keep_whole && glance(&line).is_some_and(|(_, kind)| !wanted(kind)) {
                continue;
            }
            let Some(record) = Record::parse(&line) else { continue };
            history.take(&record, &line);
            history.take_end(&record);
            take_round(&mut rounds, &record);
            if keep_whole {
                history.events.extend(whole(&line));
            }
        }
        history.rounds = rounds.into_values().collect();
        let list = |list: &mut Vec<Value>| list.reverse();
        list(&mut history.events);
        list(&mut history.hook_failures);
        list(&mut history.blips);
        list(&mut history.growth_warnings);
        list(&mut history.findings);
        history
    }

    fn take(&mut self, record: &Record, line: &[u8]) {
        let (list, limit) = match record.kind.as_str() {
            "hook_failed" => (&mut self.hook_failures, HOOK_FAILURES),
            "agent_network_blip" => (&mut self.blips, BLIPS),
            "cgroup_growth_rate_warning" => (&mut self.growth_warnings, GROWTH_WARNINGS),
            "critic_finding" => (&mut self.findings, FINDINGS),
            "host_cgroup_memory_limit" => {
                if self.cgroup.is_none() {
                    let in_group = record.str("cgroup_path").is_some();
                    self.cgroup = Some((record.bool("cgroup_delegated"), in_group));
                }
                return;
            }
            _ => return,
        };
        if list.len() < limit {
            list.extend(whole(line));
        }
    }

    /// The log is read from its end: the first end found counts, up to the first start.
    fn take_end(&mut self, record: &Record) {
        self.started_since |= record.kind == "round_start";
        if self.end.is_some() || self.started_since || !ENDS.contains(&record.kind.as_str()) {
            return;
        }
        let said = ["detector", "reason", "last_reason", "path"].into_iter().find_map(|key| record.str(key));
        self.end = Some(Ended {
            ts: record.ts.clone(),
            event: record.kind.clone(),
            reason: said.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
        });
    }
}

/// What ends a Loop for longer than a person wants to guess about.
const ENDS: &[&str] = &[
    "config_broken",
    "crash_loop",
    "mem_loop",
    "mem_loop_persistent",
    "stalled_no_progress",
    "round_supervisor_wedged",
    "agent_self_terminated",
    "max_rounds_reached",
    "stop_file_detected",
    "monitor_auto_stop_triggered",
];

const KINDS: &[&str] = &[
    "hook_failed",
    "agent_network_blip",
    "cgroup_growth_rate_warning",
    "critic_finding",
    "host_cgroup_memory_limit",
    "round_start",
    "agent_exit",
    "round_end",
];

/// Returns the line as a JSON object.
pub(super) fn whole(line: &[u8]) -> Option<Value> {
    serde_json::from_str::<Value>(&String::from_utf8_lossy(line)).ok().filter(Value::is_object)
}

fn take_round(rounds: &mut BTreeMap<i64, RecentRound>, record: &Record) {
    let Some(round_num) = record.round_num() else { return };
    if !["round_start", "agent_exit", "round_end"].contains(&record.kind.as_str()) {
        return;
    }
    let older = rounds.first_key_value().is_none_or(|(oldest, _)| round_num < *oldest);
    if older && rounds.len() >= ROUNDS {
        return;
    }
    let round = rounds.entry(round_num).or_insert_with(|| RecentRound {
        round_num,
        phase: None,
        started_at: None,
        ended_at: None,
        exit_code: None,
        duration_s: None,
        timed_out: None,
        exit_cause: None,
    });
    match record.kind.as_str() {
        "round_start" if round.started_at.is_none() => {
            round.started_at = Some(record.ts.clone());
            round.phase = record.str("phase").map(str::to_owned);
        }
        "agent_exit" if round.exit_code.is_none() && round.started_at.is_none() => {
            round.exit_code = record.int("exit_code");
            round.duration_s = record.float("duration_s");
            round.timed_out = record.bool("timed_out");
            round.exit_cause = record.str("exit_cause").map(str::to_owned);
        }
        "round_end" if round.ended_at.is_none() && round.started_at.is_none() => {
            round.ended_at = Some(record.ts.clone());
        }
        _ => {}
    }
}
