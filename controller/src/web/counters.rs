//! What is counted from what is told, since the watch began: for `/metrics`. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fleetview::state::StreamId;
use crate::fleetview::told::{StoppedBy, Told};

/// How a round ended, as a label: few, whatever hosts say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Well.
    Clean,
    /// Well, by us: it stayed after its result.
    GraceKill,
    /// With an error.
    Error,
    /// Cut off by its wall clock.
    Timeout,
    /// Otherwise.
    Other,
}

impl Outcome {
    /// Returns the label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Clean => "clean",
            Outcome::GraceKill => "grace_kill",
            Outcome::Error => "error",
            Outcome::Timeout => "timeout",
            Outcome::Other => "other",
        }
    }

    fn of(cause: Option<&str>) -> Outcome {
        match cause {
            Some("clean") => Outcome::Clean,
            Some("grace_kill") => Outcome::GraceKill,
            Some("error") => Outcome::Error,
            Some("timeout") => Outcome::Timeout,
            Some(_) | None => Outcome::Other,
        }
    }
}

/// The counters of one stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counters {
    /// Rounds whose agent ended, by how.
    pub rounds: BTreeMap<Outcome, u64>,
    /// How long those took together, in seconds.
    pub seconds: f64,
    /// What they cost, in US dollars.
    pub cost_usd: f64,
    /// Stops for a detector by the controller, and by the host itself.
    pub stops: (u64, u64),
    /// Connections lost.
    pub lost: u64,
}

/// The counters of every stream.
pub type Counted = BTreeMap<StreamId, Counters>;

/// Counts what became known. Every event is told once, so nothing is counted twice.
pub fn count(counted: &mut Counted, told: &[Told]) {
    for one in told {
        match one {
            Told::Event { stream, event, .. } => count_event(counted, stream, event),
            Told::LinkDown { stream, .. } => of(counted, stream).lost += 1,
            Told::Stopped { stream, by: StoppedBy::Controller, .. } => of(counted, stream).stops.0 += 1,
            Told::Stopped { stream, by: StoppedBy::Host, .. } => of(counted, stream).stops.1 += 1,
            Told::Fired { .. }
            | Told::Resolved { .. }
            | Told::Changed { .. }
            | Told::Notify(_)
            | Told::State { .. }
            | Told::LinkUp { .. }
            | Told::Rebooted { .. }
            | Told::StopWanted { .. }
            | Told::StopFailed { .. }
            | Told::BrakeEngaged { .. }
            | Told::Resumed { .. } => {}
        }
    }
}

fn count_event(counted: &mut Counted, stream: &StreamId, event: &Value) {
    let number =
        |key| event.get(key).and_then(Value::as_f64).filter(|value| value.is_finite() && *value >= 0.0);
    match event.get("event").and_then(Value::as_str) {
        Some("agent_exit") => {
            let counters = of(counted, stream);
            let cause = event.get("exit_cause").and_then(Value::as_str);
            *counters.rounds.entry(Outcome::of(cause)).or_default() += 1;
            counters.seconds += number("duration_s").unwrap_or_default();
        }
        Some("agent_usage_recorded") => {
            of(counted, stream).cost_usd += number("cost_usd").unwrap_or_default()
        }
        Some(_) | None => {}
    }
}

fn of<'a>(counted: &'a mut Counted, stream: &StreamId) -> &'a mut Counters {
    counted.entry(stream.clone()).or_default()
}
