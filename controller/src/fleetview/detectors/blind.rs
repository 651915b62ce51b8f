//! Hosts on which detectors cannot judge: that no alert of theirs fires says nothing.

use agent_runner::witness::alert::{Blindness, Severity};
use agent_runner_inventory::Monitor;
use serde_json::{Map, json};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::Seen;
use crate::fleetview::state::Fleet;

/// The alert.
pub(super) const NAME: &str = "detectors_blind";
/// Detectors named with their reason.
const NAMED: usize = 3;

pub(super) fn look(fleet: &Fleet, _: &Monitor) -> Vec<(Key, Seen)> {
    let mut seen = Vec::new();
    for (id, state) in &fleet.streams {
        let blind = state.state.as_ref().map(|said| said.cannot_judge.as_slice()).unwrap_or_default();
        if blind.is_empty() {
            continue;
        }
        let named: Vec<String> = blind.iter().take(NAMED).map(Blindness::to_string).collect();
        let more = match blind.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let detectors: Vec<&str> = blind.iter().map(|one| one.detector.as_str()).collect();
        let alert = Seen {
            account: fleet.account(&id.host).cloned(),
            severity: Severity::Warning,
            message: format!("{}{more}", named.join("; ")),
            context: Map::from_iter([("detectors".to_owned(), json!(detectors))]),
            for_s: 0,
        };
        seen.push((Key::new(Subject::Stream(id.clone()), NAME), alert));
    }
    seen
}
