//! What the detectors look at: a small rolling state, folded from event lines and host samples in the order of the
//! log. Pure; `reader` feeds it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use super::samples::Samples;
use super::thresholds::{ANOMALY_ROUNDS, EXITS, SHORT_EXIT_S};
use super::throttles::Throttles;
use crate::event::{KINDS, Writer};
use crate::store::record::Record;

/// How many rounds' marks (stashed, login refused) are remembered.
const ROUNDS_REMEMBERED: usize = 64;
/// Failed startup checks within this many seconds belong to one attempt.
const ONE_BATTERY_S: i64 = 5;

/// The rolling state.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The newest agent exits, the newest last; [`EXITS`] at most.
    pub exits: VecDeque<Exit>,
    /// Rounds in which the agent itself reported a refused login.
    pub auth_reported: BTreeSet<i64>,
    /// The highest-numbered round that has started.
    pub newest_round: Option<Started>,
    /// The highest number in any event.
    pub highest_round_num: Option<i64>,
    /// The stashes in a row.
    pub orphans: OrphanChain,
    /// The newest attempts at a round, the newest last; [`EXITS`] at most.
    pub attempts: VecDeque<Attempt>,
    /// The provider's throttles by agent.
    pub throttles: Throttles,
    /// Repetitions in the last rounds, the newest last.
    pub anomalies: VecDeque<Anomaly>,
    /// The `ts` of the newest event that no monitor wrote.
    pub newest_event: Option<String>,
    /// The announced pause that holds, if any.
    pub pause: Option<Pause>,
    /// When each detector last stopped the service, confirmed.
    pub auto_stops: BTreeMap<String, Timestamp>,
    /// The host's samples.
    pub samples: Samples,
}

/// One agent exit.
#[derive(Debug, Clone, PartialEq)]
pub struct Exit {
    /// The round.
    pub round_num: i64,
    /// When, if the line says so.
    pub at: Option<Timestamp>,
    /// The agent's code; negative is a signal.
    pub exit_code: i64,
    /// Seconds it ran; 0 when the line does not say.
    pub duration_s: f64,
    /// Whether the wall clock ended it.
    pub timed_out: bool,
    /// How it ended.
    pub exit_cause: String,
    /// What the end of its log says; filled in for short exits.
    pub log: Evidence,
}

impl Exit {
    /// Returns whether it failed by itself within a minute.
    pub fn is_short(&self) -> bool {
        self.duration_s < SHORT_EXIT_S && self.exit_code != 0 && !self.timed_out
    }
}

/// What the end of a round's log says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Evidence {
    /// Nothing yet: nobody has looked.
    #[default]
    Unread,
    /// The patterns that match it.
    Read(Matches),
    /// It cannot be read.
    Unreadable(String),
}

/// Which patterns match the end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Matches {
    /// A refused login.
    pub auth: bool,
    /// A network error.
    pub network: bool,
}

/// A round that has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Its number.
    pub round_num: i64,
    /// Its phase.
    pub phase: Option<String>,
    /// When, as written.
    pub ts: String,
    /// When it ended, as written.
    pub ended: Option<String>,
}

/// Stashed orphans in a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrphanChain {
    /// How many.
    pub streak: i64,
    /// The round of the newest.
    pub last_round: Option<i64>,
    stashed: BTreeSet<i64>,
}

/// One attempt at a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Whether the startup battery refused it.
    pub failed: bool,
    started: bool,
    failed_at: Option<Timestamp>,
}

/// One repetition the agent was seen in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// The round.
    pub round_num: i64,
    /// The tool.
    pub tool: String,
    /// What it was called with.
    pub target: Option<String>,
    /// Equal calls.
    pub count: i64,
    /// Calls looked at.
    pub window: i64,
}

/// An announced pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// When it began, as written.
    pub ts: String,
    /// The event that announced it.
    pub kind: String,
    /// When it is meant to end; empty or absent when unknown.
    pub resume_at: Option<String>,
    /// The window that shut it, for a schedule's pause.
    pub active_window: Option<String>,
    /// The phase it waits for.
    pub phase: Option<String>,
}

impl Snapshot {
    /// Folds the next event of the log in.
    pub fn event(&mut self, record: &Record) {
        if !by_monitor(&record.kind) && !record.ts.is_empty() {
            self.newest_event = Some(record.ts.clone());
        }
        if let Some(round_num) = record.round_num() {
            self.highest_round_num = self.highest_round_num.max(Some(round_num));
        }
        match record.kind.as_str() {
            "round_start" => self.round_started(record),
            "round_end" => self.round_ended(record),
            "agent_exit" => self.agent_exited(record),
            "agent_auth_error_detected" => remember(&mut self.auth_reported, record.round_num()),
            "orphan_stashed" => self.orphan_stashed(record),
            "round_substrate_before" => self.attempt(Attempt::open()),
            "smoke_check_failed" => self.smoke_failed(record),
            "anomaly_repetitive_tool" => self.anomaly(record),
            "schedule_paused" | "round_deferred" => self.pause = Some(Pause::of(record)),
            "schedule_resumed" | "round_resumed" => self.pause = None,
            "monitor_auto_stop_triggered" => {
                if let (Some(detector), Some(at)) = (record.str("detector"), record.time()) {
                    self.auto_stops.insert(detector.to_owned(), at);
                }
            }
            _ => self.throttles.event(record),
        }
    }

    /// Returns whether this detector has stopped the service after `evidence`, which is then no reason to do so again:
    /// somebody has started the service since, knowing it.
    pub fn acted_on(&self, detector: &str, evidence: Option<Timestamp>) -> bool {
        let stopped = self.auto_stops.get(detector);
        stopped.zip(evidence).is_some_and(|(stopped, evidence)| *stopped >= evidence)
    }

    fn round_started(&mut self, record: &Record) {
        let Some(round_num) = record.round_num() else { return };
        // An interrupted pause writes no end; a round does.
        self.pause = None;
        match self.attempts.back_mut() {
            Some(open) if !open.started && !open.failed => open.started = true,
            _ => self.attempt(Attempt { started: true, ..Attempt::open() }),
        }
        if self.newest_round.as_ref().is_none_or(|newest| newest.round_num <= round_num) {
            self.newest_round = Some(Started {
                round_num,
                phase: record.str("phase").map(str::to_owned),
                ts: record.ts.clone(),
                ended: None,
            });
        }
    }

    fn round_ended(&mut self, record: &Record) {
        let Some(round_num) = record.round_num() else { return };
        if let Some(newest) = self.newest_round.as_mut().filter(|newest| newest.round_num == round_num) {
            newest.ended = Some(record.ts.clone());
        }
        if !self.orphans.stashed.contains(&round_num) {
            self.orphans.streak = 0;
        }
    }

    fn agent_exited(&mut self, record: &Record) {
        let Some(round_num) = record.round_num() else { return };
        keep_newest(
            &mut self.exits,
            EXITS,
            Exit {
                round_num,
                at: record.time(),
                exit_code: record.int("exit_code").unwrap_or(0),
                duration_s: record.float("duration_s").unwrap_or(0.0),
                timed_out: record.bool("timed_out").unwrap_or(false),
                exit_cause: record.str("exit_cause").unwrap_or_default().to_owned(),
                log: Evidence::Unread,
            },
        );
    }

    fn orphan_stashed(&mut self, record: &Record) {
        self.orphans.streak += 1;
        self.orphans.last_round = record.round_num();
        remember(&mut self.orphans.stashed, record.round_num());
    }

    fn smoke_failed(&mut self, record: &Record) {
        let at = record.time();
        match self.attempts.back_mut() {
            Some(open) if !open.started && !open.failed => {
                open.failed = true;
                open.failed_at = at;
            }
            // One battery writes one event for each check that fails.
            Some(open) if open.failed && near(open.failed_at, at) => {}
            _ => self.attempt(Attempt { failed: true, started: false, failed_at: at }),
        }
    }

    fn attempt(&mut self, attempt: Attempt) {
        keep_newest(&mut self.attempts, EXITS, attempt);
    }

    fn anomaly(&mut self, record: &Record) {
        let Some(round_num) = record.round_num() else { return };
        keep_newest(
            &mut self.anomalies,
            ROUNDS_REMEMBERED,
            Anomaly {
                round_num,
                tool: record.str("tool_name").unwrap_or_default().to_owned(),
                target: record.str("target").map(str::to_owned),
                count: record.int("count").unwrap_or(0),
                window: record.int("window").unwrap_or(0),
            },
        );
    }

    /// Returns the repetitions of the last [`ANOMALY_ROUNDS`] round numbers, the newest last.
    pub fn recent_anomalies(&self) -> impl DoubleEndedIterator<Item = &Anomaly> {
        let first = self.highest_round_num.unwrap_or(0).saturating_sub(ANOMALY_ROUNDS - 1);
        self.anomalies.iter().filter(move |anomaly| anomaly.round_num >= first)
    }
}

impl Attempt {
    fn open() -> Attempt {
        Attempt { failed: false, started: false, failed_at: None }
    }
}

impl Pause {
    fn of(record: &Record) -> Pause {
        Pause {
            ts: record.ts.clone(),
            kind: record.kind.clone(),
            resume_at: record.str("resume_at").map(str::to_owned),
            active_window: record.str("active_window").map(str::to_owned),
            phase: record.str("phase").map(str::to_owned),
        }
    }
}

/// Returns whether a monitor (or its relay) writes this kind.
pub fn by_monitor(kind: &str) -> bool {
    KINDS.iter().any(|entry| entry.name == kind && matches!(entry.writer, Writer::Monitor | Writer::Relay))
}

fn keep_newest<T>(queue: &mut VecDeque<T>, limit: usize, item: T) {
    if queue.len() >= limit {
        queue.pop_front();
    }
    queue.push_back(item);
}

fn remember(rounds: &mut BTreeSet<i64>, round_num: Option<i64>) {
    rounds.extend(round_num);
    while rounds.len() > ROUNDS_REMEMBERED {
        rounds.pop_first();
    }
}

fn near(earlier: Option<Timestamp>, later: Option<Timestamp>) -> bool {
    earlier
        .zip(later)
        .is_some_and(|(earlier, later)| later.duration_since(earlier).as_secs().abs() <= ONE_BATTERY_S)
}
