//! Hosts that say nothing. Silence is never shown as up.

use std::collections::BTreeMap;

use agent_runner::witness::alert::Severity;
use agent_runner_inventory::Monitor;
use serde_json::{Map, Value};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::Seen;
use crate::fleetview::state::{Fleet, Link, Silent};

/// A host is reached but says nothing.
pub(super) const STALE: &str = "host_stale";
/// A host cannot be reached.
pub(super) const UNREACHABLE: &str = "host_unreachable";

pub(super) fn look(fleet: &Fleet, policy: &Monitor) -> Vec<(Key, Seen)> {
    let mut worst: BTreeMap<_, _> = BTreeMap::new();
    for (id, state) in &fleet.streams {
        let Some(silent) = state.silent else { continue };
        let (detector, severity) = match silent {
            Silent::Stale => (STALE, Severity::Warning),
            Silent::Unreachable => (UNREACHABLE, Severity::Critical),
        };
        let why = match &state.link {
            Link::Down { reason, .. } => format!(": {reason}"),
            Link::Up | Link::Connecting => String::new(),
        };
        // Of a host that is heard otherwise, one project is silent.
        let heard = fleet.on_host(&id.host).any(|(_, other)| other.silent.is_none());
        let whose = if heard { format!(" of {}", id.project) } else { String::new() };
        // The last data's own clock, not its age: the wording stays while the silence goes on.
        let last = agent_runner::store::time::stamp(state.last_data.wall);
        let seen = Seen {
            account: fleet.account(&id.host).cloned(),
            severity,
            message: format!("no data{whose} since {last}{why}"),
            context: Map::from_iter([
                ("last_data".to_owned(), Value::from(last)),
                ("threshold_s".to_owned(), Value::from(policy.stale_after_s)),
            ]),
            for_s: 0,
        };
        let worse = worst.get(&id.host).is_none_or(|(_, other): &(_, Seen)| other.severity < severity);
        if worse {
            worst.insert(id.host.clone(), (Key::new(Subject::Host(id.host.clone()), detector), seen));
        }
    }
    worst.into_values().collect()
}
