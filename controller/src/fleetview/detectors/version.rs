//! Hosts with different versions of the agent: a rollout that did not come to its end.

use std::collections::{BTreeMap, BTreeSet};

use agent_runner::witness::alert::Severity;
use agent_runner_inventory::Monitor;
use serde_json::{Map, Value, json};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::Seen;
use crate::fleetview::state::Fleet;

/// The alert.
pub(super) const NAME: &str = "version_skew";
/// Seconds it has to hold: a rollout passes through it.
const FOR_S: i64 = 600;
/// Hosts named per version.
const NAMED: usize = 5;

pub(super) fn look(fleet: &Fleet, _: &Monitor) -> Vec<(Key, Seen)> {
    let mut hosts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (id, state) in &fleet.streams {
        if let Some(hello) = &state.hello {
            hosts.entry(&hello.version).or_default().insert(&id.host);
        }
    }
    if hosts.len() < 2 {
        return Vec::new();
    }
    let mut parts: Vec<(&str, BTreeSet<&str>)> = hosts.into_iter().collect();
    parts.sort_by_key(|(version, hosts)| (std::cmp::Reverse(hosts.len()), *version));
    let said: Vec<String> = parts
        .iter()
        .map(|(version, hosts)| {
            let named: Vec<&str> = hosts.iter().take(NAMED).copied().collect();
            let more = if hosts.len() > NAMED { ", .." } else { "" };
            format!("{version} on {} ({}{more})", hosts.len(), named.join(", "))
        })
        .collect();
    let counts: Map<String, Value> =
        parts.iter().map(|(version, hosts)| ((*version).to_owned(), json!(hosts.len()))).collect();
    let seen = Seen {
        account: None,
        severity: Severity::Warning,
        message: format!("different agents: {}", said.join("; ")),
        context: Map::from_iter([("hosts_by_version".to_owned(), Value::Object(counts))]),
        for_s: FOR_S,
    };
    vec![(Key::new(Subject::Fleet, NAME), seen)]
}
