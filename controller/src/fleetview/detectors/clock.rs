//! Clocks that are off. Times of such a host's events are not to be compared with others'.

use std::collections::BTreeMap;

use agent_runner::witness::alert::Severity;
use agent_runner_inventory::Monitor;
use serde_json::{Map, Value};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::Seen;
use crate::fleetview::state::Fleet;

/// The alert.
pub(super) const NAME: &str = "clock_skew";
/// What counts as off, in seconds: a heartbeat may have waited on its way.
const THRESHOLD_S: i64 = 60;
/// Seconds it has to hold: one late line is no wrong clock.
const FOR_S: i64 = 60;

pub(super) fn look(fleet: &Fleet, _: &Monitor) -> Vec<(Key, Seen)> {
    let mut worst: BTreeMap<_, i64> = BTreeMap::new();
    for (id, state) in &fleet.streams {
        let Some(skew) = state.skew_s else { continue };
        let known = worst.entry(id.host.clone()).or_insert(skew);
        // Several streams of one host: the one that came soonest knows best.
        if skew.abs() < known.abs() {
            *known = skew;
        }
    }
    let off = worst.into_iter().filter(|(_, skew)| skew.abs() > THRESHOLD_S);
    let alert = |(host, skew): (std::sync::Arc<str>, i64)| {
        let way = if skew > 0 { "ahead of" } else { "behind" };
        let seen = Seen {
            account: fleet.account(&host).cloned(),
            severity: Severity::Warning,
            message: format!("the clock is {} s {way} the controller's", skew.abs()),
            context: Map::from_iter([
                ("skew_s".to_owned(), Value::from(skew)),
                ("threshold_s".to_owned(), Value::from(THRESHOLD_S)),
            ]),
            for_s: FOR_S,
        };
        (Key::new(Subject::Host(host), NAME), seen)
    };
    off.map(alert).collect()
}
