//! A fleet in which nothing comes to an end: a provider that hangs, a broken prompt pushed everywhere.

use agent_runner::store::time;
use agent_runner::witness::alert::Severity;
use agent_runner_inventory::Monitor;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::Seen;
use crate::fleetview::state::{Fleet, StreamState};

/// The alert.
pub(super) const NAME: &str = "fleet_stalled";
/// So many of the longest wall clocks without an end.
const TIMEOUTS: i64 = 3;

pub(super) fn look(fleet: &Fleet, _: &Monitor) -> Vec<(Key, Seen)> {
    // A round in progress, heard of lately, on a host that is not throttled: the others have reasons to be quiet. A
    // service that waits for its window is active and in no round.
    let at_work = || {
        fleet.streams.values().filter(|state| {
            let working = state
                .state
                .as_ref()
                .is_some_and(|said| said.active && said.running && said.throttled_until.is_none());
            working && state.silent.is_none()
        })
    };
    let Some(timeout_s) = at_work().filter_map(|state| state.rounds.timeout_s).max() else {
        return Vec::new();
    };
    // After a pause the newest end is old, and the rounds in progress are young.
    let Some(begun) = at_work().filter_map(|state| begun(state)).min() else { return Vec::new() };
    let newest = fleet.streams.values().filter_map(|state| state.rounds.last_end).max();
    let last = newest.map_or(begun, |end| end.max(begun));
    let age = fleet.now.wall.as_second() - last.as_second();
    if age <= TIMEOUTS * timeout_s {
        return Vec::new();
    }
    let last = time::stamp(last);
    let seen = Seen {
        account: None,
        severity: Severity::Critical,
        message: format!("no round ended anywhere since {last}, and {} are in progress", at_work().count()),
        context: Map::from_iter([
            ("last_end".to_owned(), Value::from(last)),
            ("threshold_s".to_owned(), Value::from(TIMEOUTS * timeout_s)),
        ]),
        for_s: 0,
    };
    vec![(Key::new(Subject::Fleet, NAME), seen)]
}

/// Returns when the round in progress began.
fn begun(state: &StreamState) -> Option<Timestamp> {
    let said = state.state.as_ref().and_then(|said| time::parse(said.since.as_deref()?));
    said.or_else(|| state.rounds.iter().next_back()?.started)
}
