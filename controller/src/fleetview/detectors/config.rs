//! Configurations that are not what the inventory says: somebody edited one on the host, or nobody deployed.

use agent_runner::witness::alert::Severity;
use agent_runner_inventory::Monitor;
use serde_json::{Map, Value};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::Seen;
use crate::fleetview::state::Fleet;

/// The alert.
pub(super) const NAME: &str = "config_drift";
/// Seconds it has to hold: a deploy passes through it.
const FOR_S: i64 = 600;

pub(super) fn look(fleet: &Fleet, _: &Monitor) -> Vec<(Key, Seen)> {
    let drifted = fleet.streams.iter().filter_map(|(id, state)| {
        let wanted = fleet.wanted.get(id)?;
        let there = state.state.as_ref()?.config_sha256.as_ref()?;
        (there.as_str() != &**wanted).then(|| {
            let seen = Seen {
                account: fleet.account(&id.host).cloned(),
                severity: Severity::Warning,
                message:
                    "agent-runner.toml differs from the inventory's; `agent-runner-fleet plan` shows how"
                        .to_owned(),
                context: Map::from_iter([
                    ("there_sha256".to_owned(), Value::from(there.as_str())),
                    ("wanted_sha256".to_owned(), Value::from(&**wanted)),
                ]),
                for_s: FOR_S,
            };
            (Key::new(Subject::Stream(id.clone()), NAME), seen)
        })
    });
    drifted.collect()
}
