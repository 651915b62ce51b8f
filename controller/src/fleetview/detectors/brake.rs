//! Stops that the brake holds back: from here on a person decides.

use std::collections::BTreeSet;

use agent_runner::witness::alert::Severity;
use agent_runner_inventory::Monitor;
use serde_json::{Map, json};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::{Alerts, Seen};
use crate::fleetview::state::{Fleet, Stop};

/// The alert.
pub(super) const NAME: &str = "brake_engaged";
/// Where the streams stand in the context.
const HELD_BACK: &str = "held_back";

pub(super) fn look(fleet: &Fleet, policy: &Monitor) -> Vec<(Key, Seen)> {
    let held: Vec<String> = fleet
        .streams
        .iter()
        .filter(|(_, state)| {
            let left = state.left.held_back && !state.spoken;
            left || state.alerts.values().any(|open| open.stop == Stop::HeldBack)
        })
        .map(|(id, _)| id)
        .chain(&*fleet.held_elsewhere)
        .map(ToString::to_string)
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
        context: Map::from_iter([(HELD_BACK.to_owned(), json!(held))]),
        for_s: 0,
    };
    vec![(Key::new(Subject::Fleet, NAME), seen)]
}

/// Returns the streams, by their names, whose stops an earlier run held back, by the alert that it left open.
pub fn held_back(alerts: &Alerts) -> BTreeSet<String> {
    let alert = alerts.get(&Key::new(Subject::Fleet, NAME));
    let named = alert.and_then(|alert| alert.context.get(HELD_BACK)?.as_array());
    named.into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}
