//! Trouble with a login that hosts share: one incident, not one per host.

use std::collections::BTreeSet;
use std::sync::Arc;

use agent_runner::store::time;
use agent_runner::witness::alert::Severity;
use agent_runner_inventory::Monitor;
use serde_json::{Map, Value, json};

use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::life::Seen;
use crate::fleetview::state::{Fleet, StreamState};

/// The login fails on two or more hosts.
pub(super) const AUTH: &str = "account_auth";
/// The provider throttles the account.
pub(super) const RATE_LIMIT: &str = "account_rate_limit";
/// The agent's detector of a failing login.
pub const HOST_AUTH: &str = "oauth_fail";
/// Hosts of one account with a failing login that make an incident.
const HOSTS: usize = 2;

pub(super) fn auth(fleet: &Fleet, _: &Monitor) -> Vec<(Key, Seen)> {
    let failing = |state: &StreamState| {
        // A host that was stopped for it has not got its login back.
        state.alerts.values().any(|open| open.alert.detector == HOST_AUTH)
            || state.stopped.as_ref().is_some_and(|stopped| stopped.detector == HOST_AUTH)
    };
    let incident = |(account, streams): (Arc<str>, Vec<(&_, &StreamState)>)| {
        let hosts: BTreeSet<&str> = streams
            .iter()
            .filter(|(_, state)| failing(state))
            .map(|(id, _): &(&super::super::state::StreamId, _)| &*id.host)
            .collect();
        let key = Key::new(Subject::Account(account.clone()), AUTH);
        // Once told, it is one incident until the last of them can log in: they come back one by one, and some fall back.
        let least = if fleet.alerts.get(&key).is_some() { 1 } else { HOSTS };
        (hosts.len() >= least).then(|| {
            let names: Vec<&str> = hosts.iter().copied().collect();
            let seen = Seen {
                account: Some(account.clone()),
                severity: Severity::Critical,
                message: format!(
                    "the login of {account} fails on {} host{}: {}",
                    names.len(),
                    if names.len() == 1 { "" } else { "s" },
                    names.join(", ")
                ),
                context: Map::from_iter([("hosts".to_owned(), json!(names))]),
                for_s: 0,
            };
            (key, seen)
        })
    };
    fleet.by_account().into_iter().filter_map(incident).collect()
}

pub(super) fn rate_limit(fleet: &Fleet, _: &Monitor) -> Vec<(Key, Seen)> {
    let mut seen = Vec::new();
    for (account, streams) in fleet.by_account() {
        let until = |state: &StreamState| {
            let until = time::parse(state.state.as_ref()?.throttled_until.as_deref()?)?;
            (until > fleet.now.wall).then_some(until)
        };
        let throttled: Vec<_> =
            streams.iter().filter_map(|(id, state)| Some((&*id.host, until(state)?))).collect();
        let Some(latest) = throttled.iter().map(|&(_, until)| until).max() else { continue };
        let hosts: BTreeSet<&str> = throttled.iter().map(|&(host, _)| host).collect();
        let latest = time::stamp(latest);
        let alert = Seen {
            account: Some(account.clone()),
            severity: Severity::Warning,
            message: format!("{account} is throttled until {latest}, seen on {} of its hosts", hosts.len()),
            context: Map::from_iter([
                ("hosts".to_owned(), json!(hosts)),
                ("throttled_until".to_owned(), Value::from(latest)),
            ]),
            for_s: 0,
        };
        seen.push((Key::new(Subject::Account(account), RATE_LIMIT), alert));
    }
    seen
}
