//! The project's state in a few fields, as a stream tells it.

use jiff::Timestamp;

use super::snapshot::Snapshot;
use super::stream::State;
use crate::process::identity::Identity;
use crate::store::layout::Layout;
use crate::store::{holder, pid_file, time};

/// What only the process table knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alive {
    /// Whether the Loop lives.
    pub serve: bool,
    /// Whether a round lives.
    pub round: bool,
}

impl Alive {
    /// Looks at the processes the log dir names.
    pub fn look(layout: &Layout) -> Alive {
        let lives = |identity: Identity| !identity.is_gone();
        Alive {
            serve: pid_file::read(layout).usable().is_some_and(lives),
            round: holder::read(layout).usable().is_some_and(|holder| lives(holder.round())),
        }
    }
}

/// Returns the state at `now`. A round without an end counts as running only while its process lives.
pub fn of(snapshot: &Snapshot, alive: Alive, now: Timestamp) -> State {
    let newest = snapshot.newest_round.as_ref();
    let last = snapshot.exits.back();
    State {
        active: alive.serve,
        round_num: newest.map(|round| round.round_num),
        phase: newest.and_then(|round| round.phase.clone()),
        running: alive.round && newest.is_some_and(|round| round.ended.is_none()),
        since: newest.map(|round| round.ended.clone().unwrap_or_else(|| round.ts.clone())),
        last_exit_code: last.map(|exit| exit.exit_code),
        last_duration_s: last.map(|exit| exit.duration_s),
        disk_used_pct: snapshot.samples.disk.back().map(|sample| sample.disk_pct),
        throttled_until: snapshot
            .throttles
            .active(now)
            .iter()
            .map(|throttle| throttle.until)
            .max()
            .map(time::stamp),
        mem_available_mb: snapshot
            .samples
            .newest
            .and_then(|line| line.memory.mem_available_mb)
            .and_then(|free| i64::try_from(free).ok()),
        // What only the disk knows.
        monitor_active: None,
        config_sha256: None,
        // What only the detectors know.
        cannot_judge: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::Record;

    #[test]
    fn a_round_without_an_end_runs_only_while_its_process_lives() {
        let mut snapshot = Snapshot::default();
        let start =
            br#"{"ts": "2026-03-01T00:00:00.000Z", "event": "round_start", "round_num": 4, "phase": "p"}"#;
        snapshot.event(&Record::parse(start).unwrap());
        let now = "2026-03-01T00:01:00Z".parse().unwrap();
        let running = |round| of(&snapshot, Alive { serve: true, round }, now).running;
        assert!(running(true));
        assert!(!running(false));
        let end = br#"{"ts": "2026-03-01T00:00:30.000Z", "event": "round_end", "round_num": 4}"#;
        let mut ended = snapshot.clone();
        ended.event(&Record::parse(end).unwrap());
        let state = of(&ended, Alive { serve: true, round: true }, now);
        assert!(!state.running);
        assert_eq!(state.since.as_deref(), Some("2026-03-01T00:00:30.000Z"));
        assert_eq!(state.phase.as_deref(), Some("p"));
    }
}
