//! Feeding the snapshot from the log dir: the first time from the end backwards, as far as the detectors need; from
//! then on only what is new.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use super::evidence::{self, Patterns};
use super::samples::FullDisk;
use super::snapshot::{Evidence, Snapshot, by_monitor};
use crate::host;
use crate::store::backward::Lines;
use crate::store::follow::{Cursor, Follower, Line};
use crate::store::layout::Layout;
use crate::store::record::{Record, glance};

/// Rounds that settle everything but a throttle, looking backwards.
const ROUNDS: usize = 20;
/// Exits that are looked at, as many as a window holds.
const EXITS: usize = super::thresholds::EXITS;
/// Kinds the snapshot is made of.
const KINDS: &[&str] = &[
    "round_start",
    "round_end",
    "agent_exit",
    "agent_auth_error_detected",
    "orphan_stashed",
    "round_substrate_before",
    "smoke_check_failed",
    "anomaly_repetitive_tool",
    "schedule_paused",
    "schedule_resumed",
    "round_deferred",
    "round_resumed",
    "monitor_auto_stop_triggered",
    "transient_error_detected",
    "transient_error_recovered",
    "agent_usage_recorded",
];
/// Kinds that matter however long ago: a throttle may last for days.
const LASTING: &[&str] = &["transient_error_detected", "transient_error_recovered", "agent_usage_recorded"];
/// Fields of a host sample the snapshot is made of.
const SAMPLE_FIELDS: &[&str] = &[
    "disk_used_pct",
    "inode_used_pct",
    "mem_free_mb",
    "mem_available_mb",
    "swap_sout",
    "psi_some_avg10",
    "psi_full_avg10",
];

/// What to look for, from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Regexes of a refused login.
    pub auth_patterns: Vec<String>,
    /// Seconds of host samples that are kept.
    pub growth_window_s: u64,
    /// Folders whose disks are looked at now, beside what the log tells: a full one takes no samples.
    pub disks: Vec<PathBuf>,
}

/// How far the first poll looks back at most, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstLook {
    /// Of events.
    pub events: u64,
    /// Of host samples.
    pub samples: u64,
}

/// Where the events begin that a poll hands out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Behind everything there is.
    End,
    /// Behind a place somebody has seen already.
    Cursor(Cursor),
}

/// One reader of a log dir.
#[derive(Debug)]
pub struct Reader {
    layout: Layout,
    first_look: FirstLook,
    start: Start,
    look: Option<Look>,
    patterns: Option<Patterns>,
    events: Option<Follower>,
    metrics: Follower,
    snapshot: Snapshot,
    bytes_read: u64,
}

impl Reader {
    /// Returns a reader whose first poll looks back as far as `first_look` says.
    pub fn new(layout: Layout, first_look: FirstLook, start: Start) -> Reader {
        Reader {
            layout,
            first_look,
            start,
            look: None,
            patterns: None,
            events: None,
            metrics: Follower::default(),
            snapshot: Snapshot::default(),
            bytes_read: 0,
        }
    }

    /// Returns what has been made of the log so far.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Returns how many bytes of event and metrics files have been read so far.
    pub fn bytes_read(&self) -> u64 {
        let events = self.events.as_ref().map_or(0, Follower::bytes_read);
        self.bytes_read + events + self.metrics.bytes_read()
    }

    /// Reads what is new and hands out every new event line. A file that took another's place is new from its first
    /// line on.
    ///
    /// # Errors
    /// When a file that exists cannot be read; the next poll goes on from there.
    pub fn poll(&mut self, look: &Look, mut each: impl FnMut(Line)) -> io::Result<()> {
        if self.look.as_ref() != Some(look) {
            self.look = Some(look.clone());
            self.patterns = None;
            self.snapshot.exits.iter_mut().for_each(|exit| exit.log = Evidence::Unread);
        }
        let files = self.layout.events_files();
        let (mut events, is_new) = match (self.events.take(), &self.start) {
            (Some(mut events), _) => {
                let is_lost = events.forget_lost(&files);
                (events, is_lost)
            }
            (None, Start::End) => (Follower::from_end(&files), true),
            (None, Start::Cursor(cursor)) => (Follower::from_cursor(&files, cursor), true),
        };
        if is_new {
            self.take_in(look, &events.places(&files));
        }
        let snapshot = &mut self.snapshot;
        let followed = events.poll(&files, |line| {
            if let Some(record) = Record::parse(&line.bytes) {
                snapshot.event(&record);
            }
            each(line);
        });
        self.events = Some(events);
        let sampled = self.metrics.poll(&self.layout.metrics_files(), |line| {
            if let Some(record) = Record::parse(&line.bytes) {
                snapshot.samples.line(&record, look.growth_window_s);
            }
        });
        self.read_logs(look);
        self.snapshot.samples.fullest = fullest(&look.disks);
        followed.and(sampled)
    }

    /// Begins the snapshot with what lies before the places that the next lines come from.
    fn take_in(&mut self, look: &Look, places: &[(PathBuf, u64)]) {
        self.snapshot = Snapshot::default();
        self.look_back(Lines::before(places.to_vec()));
        self.bytes_read += self.metrics.bytes_read();
        let metrics = self.layout.metrics_files();
        self.metrics = Follower::from_end(&metrics);
        self.look_back_at_samples(Lines::before(self.metrics.places(&metrics)), look.growth_window_s);
    }

    fn look_back(&mut self, mut lines: Lines) {
        let mut kept: Vec<Record> = Vec::new();
        let (mut rounds, mut exits, mut newest_seen) = (0, 0, false);
        let mut succeeded: BTreeSet<String> = BTreeSet::new();
        while lines.bytes_read() < self.first_look.events {
            let Some(line) = lines.next() else { break };
            let wanted = if rounds >= ROUNDS && exits >= EXITS { LASTING } else { KINDS };
            // Most lines need no parsing: their kind alone tells that nothing depends on them.
            if newest_seen && glance(&line).is_some_and(|(_, kind)| !wanted.contains(&kind)) {
                continue;
            }
            let Some(mut record) = Record::parse(&line) else { continue };
            let newest = !newest_seen && !by_monitor(&record.kind);
            newest_seen |= newest;
            match record.kind.as_str() {
                "round_start" => rounds += 1,
                "agent_exit" => exits += 1,
                "agent_usage_recorded" => {
                    record.fields.retain(|(field, _)| field == "agent" || field == "success");
                    // Only an agent's newest success counts.
                    let agent = record.str("agent").filter(|_| record.bool("success") == Some(true));
                    if agent.is_none_or(|agent| !succeeded.insert(agent.to_owned())) && !newest {
                        continue;
                    }
                }
                _ => {}
            }
            if newest || wanted.contains(&record.kind.as_str()) {
                kept.push(record);
            }
        }
        self.bytes_read += lines.bytes_read();
        kept.iter().rev().for_each(|record| self.snapshot.event(record));
    }

    fn look_back_at_samples(&mut self, mut lines: Lines, window_s: u64) {
        let mut kept: Vec<Record> = Vec::new();
        let mut newest: Option<Timestamp> = None;
        while lines.bytes_read() < self.first_look.samples {
            let Some(line) = lines.next() else { break };
            let Some(mut record) = Record::parse(&line) else { continue };
            let at = record.time();
            newest = newest.or(at);
            let before =
                newest.zip(at).is_some_and(|(newest, at)| super::samples::span_s(at, newest) > window_s);
            if before && kept.len() >= 2 {
                break;
            }
            record.fields.retain(|(field, _)| SAMPLE_FIELDS.contains(&field.as_str()));
            kept.push(record);
        }
        self.bytes_read += lines.bytes_read();
        kept.iter().rev().for_each(|record| self.snapshot.samples.line(record, window_s));
    }

    /// Looks at the logs of short exits, each once.
    fn read_logs(&mut self, look: &Look) {
        for exit in self.snapshot.exits.iter_mut().filter(|exit| exit.is_short()) {
            if !matches!(exit.log, Evidence::Unread) {
                continue;
            }
            let patterns =
                match self.patterns.take().map_or_else(|| Patterns::compile(&look.auth_patterns), Ok) {
                    Ok(patterns) => patterns,
                    Err(error) => {
                        exit.log = Evidence::Unreadable(error.to_string());
                        continue;
                    }
                };
            let lasted_ms = (exit.duration_s.clamp(0.0, super::thresholds::SHORT_EXIT_S) * 1000.0).round();
            #[expect(clippy::cast_possible_truncation, reason = "clamped to a minute in milliseconds")]
            let lasted = jiff::SignedDuration::from_millis(lasted_ms as i64);
            let started = exit.at.and_then(|at| at.checked_sub(lasted).ok());
            exit.log = evidence::look(&self.layout, (exit.round_num, started), &patterns);
            self.patterns = Some(patterns);
        }
    }
}
/// Returns the fullest of the disks that hold these folders; one that cannot be asked is left out.
fn fullest(folders: &[PathBuf]) -> Option<FullDisk> {
    let used = folders.iter().filter_map(|path| {
        let disk_pct = (host::disk::usage(path).ok()?.used_pct * 10.0).round() / 10.0;
        Some(FullDisk { path: path.clone(), disk_pct })
    });
    used.max_by(|one, other| one.disk_pct.total_cmp(&other.disk_pct))
}
