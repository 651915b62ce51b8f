//! Stops that the brake holds back: from here on a person decides.

use agent_runner::witness::alert::Severity;
use agent_runner_inventory::Monitor;
use serde_json::{Map, json};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::Seen;
use crate::fleetview::state::{Fleet, Stop};

/// The alert.
pub(super) const NAME: &str = "brake_engaged";

pub(super) fn look(fleet: &Fleet, policy: &Monitor) -> Vec<(Key, Seen)> {
    let held: Vec<String> = fleet
        .streams
        .iter()
        .filter(|(_, state)| state.alerts.values().any(|open| open.stop == Stop::HeldBack))
        .map(|(id, _)| id.to_string())
        .collect();
    if held.is_empty() {
        return Vec::new();
    }
    let seen = Seen {
        account: None,
        severity: Severity::Critical,
        message: format!(
            "not stopped, because {} of the hosts within ten minutes is the most: {}",
            policy.brake,
            held.join(", ")
        ),
        context: Map::from_iter([("held_back".to_owned(), json!(held))]),
        for_s: 0,
    };
    vec![(Key::new(Subject::Fleet, NAME), seen)]
}
