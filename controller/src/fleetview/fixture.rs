//! What a host's stream says in tests: every part complete, so that a test writes only what it is about.

use std::time::Duration;

use agent_runner::store::time::stamp;
use agent_runner::witness::alert::{Alert, AutoAction, Severity};
use agent_runner::witness::stream::{Hello, State};
use jiff::Timestamp;
use serde_json::Map;

use super::state::{Moment, StreamId};

/// The instant so many seconds after the epoch, on both clocks.
pub(crate) fn at(seconds: u64) -> Moment {
    Moment {
        wall: Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap(),
        mono: Duration::from_secs(seconds),
    }
}

/// The project `p` of a host.
pub(crate) fn id(host: &str) -> StreamId {
    StreamId { host: host.into(), project: "p".into() }
}

/// A host that has a monitor of its own, and a stream that begins with the log.
pub(crate) fn hello() -> Hello {
    Hello {
        protocol: 1,
        version: "0.1.0".into(),
        project: "p".into(),
        boot_id: "b".into(),
        at: stamp(Timestamp::UNIX_EPOCH),
        monitor_active: true,
        auto_stop_on: Vec::new(),
        cursor: None,
    }
}

/// A service that runs, between its third round, which was good, and the next.
pub(crate) fn state() -> State {
    State {
        active: true,
        round_num: Some(3),
        phase: None,
        running: false,
        since: None,
        last_exit_code: Some(0),
        last_duration_s: None,
        disk_used_pct: None,
        throttled_until: None,
        mem_available_mb: None,
        monitor_active: None,
        config_sha256: None,
        cannot_judge: Vec::new(),
    }
}

/// A critical alert that asks for nothing.
pub(crate) fn alert(detector: &str) -> Alert {
    Alert {
        severity: Severity::Critical,
        detector: detector.into(),
        message: "m".into(),
        context: Map::new(),
        ts: stamp(Timestamp::UNIX_EPOCH),
        auto_action: AutoAction::None,
    }
}
