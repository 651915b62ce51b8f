//! Sinks that take nothing: the others are told.

use agent_runner::witness::alert::Severity;
use agent_runner_inventory::Monitor;
use serde_json::{Map, json};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::Seen;
use crate::fleetview::state::Fleet;

/// The alert.
pub(super) const NAME: &str = "sink_down";
/// Seconds it has to hold.
const FOR_S: i64 = 120;

pub(super) fn look(fleet: &Fleet, _: &Monitor) -> Vec<(Key, Seen)> {
    let down: Vec<_> = fleet.sinks.iter().filter_map(|sink| Some((sink, sink.failing.as_ref()?))).collect();
    if down.is_empty() {
        return Vec::new();
    }
    let said: Vec<String> = down.iter().map(|(sink, why)| format!("{}: {why}", sink.name)).collect();
    let names: Vec<&str> = down.iter().map(|(sink, _)| sink.name.as_str()).collect();
    let seen = Seen {
        account: None,
        severity: Severity::Warning,
        message: format!("messages do not reach {}", said.join("; ")),
        context: Map::from_iter([("sinks".to_owned(), json!(names))]),
        for_s: FOR_S,
    };
    vec![(Key::new(Subject::Fleet, NAME), seen)]
}
