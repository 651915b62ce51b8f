//! Stops that the controller wants and does not get: what asked for them goes on.

use agent_runner::witness::alert::Severity;
use agent_runner_inventory::Monitor;
use serde_json::{Map, Value};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::{Alerts, Seen};
use crate::fleetview::state::{Fleet, OpenAlert, StopFailure, StreamId};

/// The alert.
pub(super) const NAME: &str = "auto_stop_failed";
/// Seconds it has to hold: a connection may break once.
const FOR_S: i64 = 30;
/// Where the reason stands in the context.
const REASON: &str = "reason";

pub(super) fn look(fleet: &Fleet, _: &Monitor) -> Vec<(Key, Seen)> {
    let failing = fleet.streams.iter().filter_map(|(id, state)| {
        let failed = |open: &OpenAlert| open.failure.clone().map(|why| (open.alert.detector.clone(), why));
        let (detector, StopFailure { reason, .. }) = state.alerts.values().find_map(failed)?;
        let seen = Seen {
            account: fleet.account(&id.host).cloned(),
            severity: Severity::Critical,
            message: format!("the stop for {detector} fails and is tried again: {reason}"),
            context: Map::from_iter([
                ("detector".to_owned(), Value::from(detector)),
                (REASON.to_owned(), Value::from(reason)),
            ]),
            for_s: FOR_S,
        };
        Some((Key::new(Subject::Stream(id.clone()), NAME), seen))
    });
    failing.collect()
}

/// Returns how a stream's stop failed in an earlier run, by the alert that it left open.
pub fn stop_failure(alerts: &Alerts, stream: &StreamId) -> Option<StopFailure> {
    let alert = alerts.get(&Key::new(Subject::Stream(stream.clone()), NAME))?;
    let reason = alert.context.get(REASON)?.as_str()?.to_owned();
    Some(StopFailure { reason, times: 0 })
}
