//! Hosts that send what no agent sends, or more than anybody can read. They are read on, within bounds, and named.

use std::time::Duration;

use agent_runner::witness::alert::Severity;
use agent_runner_inventory::Monitor;
use serde_json::{Map, Value};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::Seen;
use crate::fleetview::state::{Fleet, Nuisance};

/// Lines that are no lines of a stream.
pub(super) const INVALID: &str = "stream_invalid";
/// More lines than are read.
pub(super) const FLOOD: &str = "stream_flood";
/// How long the newest one is held against a host.
const MEMORY: Duration = Duration::from_secs(600);

pub(super) fn look(fleet: &Fleet, _: &Monitor) -> Vec<(Key, Seen)> {
    let mut seen = Vec::new();
    for (id, state) in &fleet.streams {
        let fresh = |nuisance: &&Nuisance| fleet.now.mono.saturating_sub(nuisance.last) < MEMORY;
        for (name, nuisance) in [(INVALID, &state.garbled), (FLOOD, &state.flooded)] {
            let Some(nuisance) = nuisance.as_ref().filter(fresh) else { continue };
            let what = match name {
                FLOOD => format!("more lines than are read; dropped and read again: {}", nuisance.what),
                _ => format!("a line that no agent writes: {}", nuisance.what),
            };
            let alert = Seen {
                account: fleet.account(&id.host).cloned(),
                severity: Severity::Warning,
                message: what,
                context: Map::from_iter([("count".to_owned(), Value::from(nuisance.count))]),
                for_s: 0,
            };
            seen.push((Key::new(Subject::Stream(id.clone()), name), alert));
        }
    }
    seen
}
