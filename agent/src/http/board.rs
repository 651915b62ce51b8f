//! What the page shows and `/api/state` tells, gathered from the log dir. Every part is read from its end.

use std::io::{self, Read};
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::config::types::Config;
use crate::peek;
use crate::peek::answer::RecentRound;
use crate::store::backward::Lines;
use crate::store::layout::Layout;
use crate::store::record::Record;
use crate::store::regular::open_regular;
use crate::store::{agent_logs, status, time};
use crate::witness::alert::{Alert, Blindness};
use crate::witness::evidence;
use crate::witness::monitor::{FIRST_LOOK, look_of};
use crate::witness::reader::{Reader, Start};
use crate::witness::rehearsal;
use crate::witness::state::{self, Alive};
use crate::witness::thresholds::Thresholds;

/// Events shown.
const EVENTS: usize = 20;
/// Bytes looked back for them at most; a longer event is left out.
const EVENT_BYTES: u64 = 1 << 20;
/// Lines of a text that are shown.
const LINES: usize = 50;
/// Bytes of the agent's reason to end that are read, and characters of it that are shown, as in its event.
const REASON_BYTES: u64 = 4096;
const REASON_CHARS: usize = 200;

/// The state; the serialised form is contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct State {
    pub(super) round_state: RoundState,
    pub(super) narrative: String,
    pub(super) recent_events: Vec<Value>,
    pub(super) round_log_tail: String,
    pub(super) self_terminated: SelfTerminated,
    pub(super) rate_limit: Option<RateLimit>,
    /// For the page only.
    #[serde(skip)]
    pub(super) records: Vec<Record>,
    /// For the page only.
    #[serde(skip)]
    pub(super) alerts: Vec<Alert>,
    /// For the page only.
    #[serde(skip)]
    pub(super) cannot_judge: Vec<Blindness>,
    /// For the page only.
    #[serde(skip)]
    pub(super) serving: bool,
    /// For the page only.
    #[serde(skip)]
    pub(super) more: More,
}

/// What only the page shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct More {
    /// When the running round started.
    pub(super) started: Option<String>,
    /// The running round's wall clock in seconds.
    pub(super) budget_s: u64,
    /// How the newest rounds ended, the newest last.
    pub(super) recent: Vec<RecentRound>,
    /// The end of what the newest round's agent printed.
    pub(super) agent_log: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct RoundState {
    pub(super) round_num: Option<i64>,
    pub(super) phase: Option<String>,
    pub(super) running: bool,
    pub(super) last_outcome: Option<&'static str>,
    pub(super) last_duration_s: Option<f64>,
    pub(super) last_completed_at: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct SelfTerminated {
    pub(super) present: bool,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct RateLimit {
    pub(super) throttled_until_iso: String,
    pub(super) limit_type: String,
    pub(super) since_round: Option<i64>,
    pub(super) phase: Option<String>,
}

/// A project that is looked at again and again.
pub(super) struct Board {
    config: Config,
    layout: Layout,
    reader: Reader,
}

impl Board {
    pub(super) fn new(config: Config) -> Board {
        let layout = Layout::new(&config.runtime.log_dir);
        let reader = Reader::new(layout.clone(), FIRST_LOOK, Start::End);
        Board { config, layout, reader }
    }

    /// Returns the project's name.
    pub(super) fn project(&self) -> &str {
        self.config.project()
    }

    /// Looks at the project.
    ///
    /// # Errors
    /// When the event files cannot be read.
    pub(super) fn look(&mut self, now: Timestamp) -> io::Result<State> {
        self.reader.poll(&look_of(&self.config), |_| {})?;
        let (layout, snapshot) = (&self.layout, self.reader.snapshot());
        let told = state::of(snapshot, Alive::look(layout), now);
        let last = status::read(layout).usable();
        let ended = last.as_ref().map(|status| status.round_num);
        let lines = newest_events(layout);
        let narrative = self.config.runtime.narrative_file.clone().unwrap_or_else(|| layout.narrative());
        let newest = told.round_num.and_then(|round_num| agent_logs::of_round(layout, round_num));
        let more = More {
            started: told.since.clone().filter(|_| told.running),
            budget_s: Thresholds::of(&self.config).budget_of(told.phase.as_deref()),
            recent: peek::recent(layout, 0).0,
            agent_log: newest.map(|path| tail(&path)).unwrap_or_default(),
        };
        let throttles = snapshot.throttles.active(now);
        let longest = throttles.iter().max_by_key(|throttle| throttle.until);
        let evaluation = rehearsal::judge(snapshot, &Thresholds::of(&self.config), now);
        Ok(State {
            round_state: RoundState {
                round_num: if told.running { told.round_num } else { ended.or(told.round_num) },
                phase: if told.running {
                    told.phase
                } else {
                    last.as_ref().and_then(|status| status.current_phase.clone())
                },
                running: told.running,
                last_outcome: last
                    .as_ref()
                    .and_then(|status| status.last_exit_code)
                    .map(|code| if code == 0 { "ok" } else { "failed" }),
                last_duration_s: last.as_ref().and_then(|status| status.last_duration_s),
                last_completed_at: last.and_then(|status| status.last_completed_at),
            },
            narrative: tail(&narrative),
            recent_events: lines.iter().filter_map(|line| whole(line)).collect(),
            round_log_tail: tail(&layout.round_current()),
            self_terminated: self_terminated(layout),
            rate_limit: longest.map(|throttle| RateLimit {
                throttled_until_iso: time::stamp(throttle.until),
                limit_type: throttle.classification.clone(),
                since_round: throttle.since_round,
                phase: throttle.phase.clone(),
            }),
            records: lines.iter().filter_map(|line| Record::parse(line)).collect(),
            cannot_judge: evaluation.cannot_judge(),
            alerts: evaluation.alerts.into_iter().map(|(_, alert)| alert).collect(),
            serving: told.active,
            more,
        })
    }
}

fn newest_events(layout: &Layout) -> Vec<Vec<u8>> {
    let mut lines = Lines::new(layout.events_files());
    let mut found = Vec::new();
    while found.len() < EVENTS && lines.bytes_read() < EVENT_BYTES {
        let Some(line) = lines.next() else { break };
        if whole(&line).is_some() {
            found.push(line);
        }
    }
    found.reverse();
    found
}

fn whole(line: &[u8]) -> Option<Value> {
    serde_json::from_str::<Value>(&String::from_utf8_lossy(line)).ok().filter(Value::is_object)
}

/// Returns the end of a regular file; anything else, such as a pipe that would never end, counts as empty.
fn tail(path: &Path) -> String {
    if !path.is_file() {
        return String::new();
    }
    String::from_utf8_lossy(&evidence::tail(path, LINES)).into_owned()
}

fn self_terminated(layout: &Layout) -> SelfTerminated {
    let path = layout.agent_done();
    let present = path.exists();
    let mut bytes = Vec::new();
    if let Ok(file) = open_regular(&path) {
        // What cannot be read is no reason.
        let _ = file.take(REASON_BYTES).read_to_end(&mut bytes);
    }
    let reason: String = String::from_utf8_lossy(&bytes).trim().chars().take(REASON_CHARS).collect();
    SelfTerminated { present, reason: Some(reason).filter(|reason| !reason.is_empty()) }
}
