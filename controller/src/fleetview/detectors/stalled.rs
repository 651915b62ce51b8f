//! A fleet in which nothing comes to an end: a provider that hangs, a broken prompt pushed everywhere.

use agent_runner::witness::alert::Severity;
use agent_runner_inventory::Monitor;
use serde_json::{Map, Value};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::Seen;
use crate::fleetview::state::Fleet;

/// The alert.
pub(super) const NAME: &str = "fleet_stalled";
/// So many of the longest wall clocks without an end.
const TIMEOUTS: i64 = 3;

pub(super) fn look(fleet: &Fleet, _: &Monitor) -> Vec<(Key, Seen)> {
    // A round in progress, heard of lately, on a host that is not throttled: the others have reasons to be quiet.
    let at_work = || {
        fleet.streams.values().filter(|state| {
            let working =
                state.state.as_ref().is_some_and(|said| said.active && said.throttled_until.is_none());
            working && state.silent.is_none()
        })
    };
    let Some(timeout_s) = at_work().filter_map(|state| state.rounds.timeout_s).max() else {
        return Vec::new();
    };
    let newest = at_work().filter_map(|state| state.rounds.last_end).max();
    // Before the first end, watching itself began some time.
    let heard_from = at_work().filter_map(|state| state.rounds.iter().next()?.started).min();
    let Some(last) = newest.or(heard_from) else { return Vec::new() };
    let age = fleet.now.wall.as_second() - last.as_second();
    if age <= TIMEOUTS * timeout_s {
        return Vec::new();
    }
    let last = agent_runner::store::time::stamp(last);
    let seen = Seen {
        account: None,
        severity: Severity::Critical,
        message: format!("no round ended anywhere since {last}, on {} active services", at_work().count()),
        context: Map::from_iter([
            ("last_end".to_owned(), Value::from(last)),
            ("threshold_s".to_owned(), Value::from(TIMEOUTS * timeout_s)),
        ]),
        for_s: 0,
    };
    vec![(Key::new(Subject::Fleet, NAME), seen)]
}
