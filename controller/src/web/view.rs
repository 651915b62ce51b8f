//! The page's whole state as a value, and what changed between two of them. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use agent_runner::store::time;
use agent_runner::witness::alert::Severity;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::rows::{HostRow, Level, Standing, rows};
use crate::fleetview::alert::{AlertState, Phase};
use crate::fleetview::state::Fleet;
use crate::output::alert_lines;

/// The version of the form of every answer.
pub const SCHEMA: u32 = 1;

/// The fleet in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The version of the form.
    pub schema: u32,
    /// The fleet's name.
    pub fleet: Arc<str>,
    /// Watched hosts.
    pub hosts: usize,
    /// Watched projects.
    pub streams: usize,
    /// Hosts by how much they need a person.
    pub levels: BTreeMap<&'static str, usize>,
    /// Hosts by how they stand.
    pub standings: BTreeMap<&'static str, usize>,
    /// Alerts that fire and are sent.
    pub alerts: BTreeMap<&'static str, usize>,
    /// Services that were stopped for a detector.
    pub auto_stopped: usize,
}

/// Everything the page shows at once.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The wall clock of the watch.
    pub at: jiff::Timestamp,
    /// In numbers.
    pub summary: Summary,
    /// A row per host.
    pub hosts: BTreeMap<Arc<str>, HostRow>,
    /// Open alerts by their id.
    pub alerts: BTreeMap<String, Value>,
    /// Silences that have not ended.
    pub silences: Vec<Value>,
    /// How the sinks are.
    pub sinks: Vec<Value>,
    /// Wishes and what came of them.
    pub actions: Vec<Value>,
}

impl View {
    /// Returns the view of a fleet and the newest wishes.
    pub fn of(fleet: &Fleet, actions: Vec<Value>) -> View {
        let hosts = rows(fleet);
        let alerts = fleet.alerts.open().map(|one| (one.key.id(), alert(one, fleet))).collect();
        let value = |sink| serde_json::to_value(sink).unwrap_or_default();
        View {
            at: fleet.now.wall,
            summary: summary(fleet, &hosts),
            hosts,
            alerts,
            silences: fleet.silences.iter().map(alert_lines::silence_json).collect(),
            sinks: fleet.sinks.iter().map(value).collect(),
            actions,
        }
    }

    /// Returns all of it: what a page begins with.
    pub fn full(&self) -> Value {
        json!({
            "schema": SCHEMA,
            "at": time::stamp(self.at),
            "summary": self.summary,
            "hosts": self.hosts.values().collect::<Vec<_>>(),
            "alerts": self.alerts.values().collect::<Vec<_>>(),
            "silences": self.silences,
            "sinks": self.sinks,
            "actions": self.actions,
        })
    }

    /// Returns what a page that shows `self` needs in order to show `newer`; none when that is the same.
    pub fn diff(&self, newer: &View) -> Option<Value> {
        let mut diff = Map::new();
        let changed: Vec<&HostRow> = newer
            .hosts
            .iter()
            .filter(|(name, row)| self.hosts.get(*name) != Some(row))
            .map(|(_, row)| row)
            .collect();
        let gone: Vec<&Arc<str>> =
            self.hosts.keys().filter(|name| !newer.hosts.contains_key(*name)).collect();
        let alerts: Vec<&Value> = newer
            .alerts
            .iter()
            .filter(|(id, one)| self.alerts.get(*id) != Some(one))
            .map(|(_, one)| one)
            .collect();
        let over: Vec<&String> = self.alerts.keys().filter(|id| !newer.alerts.contains_key(*id)).collect();
        let mut put = |key: &str, differs: bool, value: Value| {
            if differs {
                diff.insert(key.to_owned(), value);
            }
        };
        put("summary", self.summary != newer.summary, json!(newer.summary));
        put("hosts", !changed.is_empty(), json!(changed));
        put("hosts_gone", !gone.is_empty(), json!(gone));
        put("alerts", !alerts.is_empty(), json!(alerts));
        put("alerts_gone", !over.is_empty(), json!(over));
        put("silences", self.silences != newer.silences, json!(newer.silences));
        put("sinks", self.sinks != newer.sinks, json!(newer.sinks));
        put("actions", self.actions != newer.actions, json!(newer.actions));
        if diff.is_empty() {
            return None;
        }
        diff.insert("at".to_owned(), Value::String(time::stamp(newer.at)));
        Some(Value::Object(diff))
    }
}

/// Returns an alert without what changes by itself: its age is counted from `fired_at`.
pub fn alert(alert: &AlertState, fleet: &Fleet) -> Value {
    let mut value = alert_lines::json(alert, &fleet.name, alert.since);
    if let Some(object) = value.as_object_mut() {
        object.remove("firing_for_s");
        object.insert("subject".to_owned(), Value::String(alert.key.subject.to_string()));
    }
    value
}

fn summary(fleet: &Fleet, hosts: &BTreeMap<Arc<str>, HostRow>) -> Summary {
    let mut levels: BTreeMap<&'static str, usize> =
        [Level::Bad, Level::Warn, Level::Off, Level::Wait, Level::Good].map(|level| (level.word(), 0)).into();
    let mut standings: BTreeMap<&'static str, usize> =
        Standing::ALL.map(|standing| (standing.word(), 0)).into();
    for row in hosts.values() {
        *levels.entry(row.level.word()).or_default() += 1;
        *standings.entry(row.word).or_default() += 1;
    }
    let mut alerts: BTreeMap<&'static str, usize> =
        [Severity::Critical, Severity::Warning, Severity::Info].map(|severity| (severity.as_str(), 0)).into();
    for alert in fleet.alerts.open().filter(|alert| alert.phase == Phase::Firing && alert.muted.is_none()) {
        *alerts.entry(alert.severity.as_str()).or_default() += 1;
    }
    Summary {
        schema: SCHEMA,
        fleet: fleet.name.clone(),
        hosts: hosts.len(),
        streams: fleet.streams.len(),
        levels,
        standings,
        alerts,
        auto_stopped: fleet.auto_stopped().count(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use agent_runner::witness::alert::{Alert, AutoAction, Blindness};
    use agent_runner::witness::stream::{State, StreamLine};
    use agent_runner_inventory::Monitor;
    use jiff::Timestamp;

    use super::*;
    use crate::fleetview::beginning::Beginning;
    use crate::fleetview::fold::{Input, fold};
    use crate::fleetview::state::{Moment, Reach, StreamId};

    pub(crate) const T0: Timestamp = Timestamp::UNIX_EPOCH;

    fn at(seconds: u64) -> Moment {
        let wall = Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap();
        Moment { wall, mono: Duration::from_secs(seconds) }
    }

    fn id(host: &str) -> StreamId {
        StreamId { host: host.into(), project: "research".into() }
    }

    /// A fleet of which nothing was heard yet.
    pub(crate) fn fleet(hosts: usize) -> Fleet {
        let names = (1..=hosts).map(|number| format!("pi{number:04}"));
        let streams = names.map(|name| (id(&name), None)).collect();
        let beginning = Beginning { name: "attic".into(), streams, ..Beginning::default() };
        Fleet::new(beginning, &Monitor::default(), at(0))
    }

    fn take(fleet: &mut Fleet, input: Input, seconds: u64) {
        fold(fleet, input, &Monitor::default(), at(seconds));
    }

    /// A host connects and says that its round runs.
    pub(crate) fn say(fleet: &mut Fleet, host: &str, running: bool) {
        take(fleet, Input::Connected(id(host)), 1);
        let state = State {
            active: true,
            round_num: Some(3),
            phase: None,
            running,
            since: None,
            last_exit_code: Some(0),
            last_duration_s: Some(2.0),
            disk_used_pct: Some(25.0),
            throttled_until: None,
            mem_available_mb: Some(512),
            monitor_active: None,
            config_sha256: None,
            cannot_judge: Vec::new(),
        };
        take(fleet, Input::Line(id(host), Box::new(StreamLine::State(state))), 1);
    }

    /// A host says that it cannot judge logins, and why.
    pub(crate) fn blind(fleet: &mut Fleet, host: &str, error: &str) {
        let mut state = fleet.streams[&id(host)].state.clone().unwrap();
        state.cannot_judge = vec![Blindness { detector: "oauth_fail".into(), error: error.into() }];
        take(fleet, Input::Line(id(host), Box::new(StreamLine::State(state))), 2);
        take(fleet, Input::Tick, 3);
    }

    /// A host's connection is lost.
    pub(crate) fn lose(fleet: &mut Fleet, host: &str, reason: &str) {
        take(fleet, Input::Lost(id(host), reason.to_owned(), Reach::Unreached), 2);
    }

    /// So much time passes that a lost host is unreachable.
    pub(crate) fn silence_of(fleet: &mut Fleet, _host: &str) {
        take(fleet, Input::Tick, 100_000);
    }

    /// A host names an alert.
    pub(crate) fn fire(fleet: &mut Fleet, host: &str, detector: &str, message: &str) {
        let alert = Alert {
            severity: Severity::Critical,
            detector: detector.into(),
            message: message.into(),
            context: Map::new(),
            ts: time::stamp(T0),
            auto_action: AutoAction::None,
        };
        take(
            fleet,
            Input::Line(id(host), Box::new(StreamLine::Alert { identity: detector.into(), alert })),
            2,
        );
        take(fleet, Input::Tick, 3);
    }

    #[test]
    fn only_what_changed_is_in_a_diff() {
        let mut fleet = fleet(50);
        let before = View::of(&fleet, Vec::new());
        assert_eq!(before.diff(&View::of(&fleet, Vec::new())), None);
        say(&mut fleet, "pi0007", false);
        let after = View::of(&fleet, Vec::new());
        let diff = before.diff(&after).unwrap();
        assert_eq!(diff["hosts"].as_array().unwrap().len(), 1);
        assert_eq!(diff["hosts"][0]["name"], "pi0007");
        assert_eq!(diff["summary"]["levels"]["good"], 1);
        assert!(diff.get("alerts").is_none() && diff.get("silences").is_none(), "{diff}");
        fire(&mut fleet, "pi0007", "hung", "no output");
        let firing = View::of(&fleet, Vec::new());
        let diff = after.diff(&firing).unwrap();
        assert_eq!(diff["alerts"][0]["detector"], "hung");
        assert_eq!(diff["alerts"][0]["subject"], "pi0007/research");
        assert_eq!(diff["hosts"][0]["level"], "bad");
        let over = firing.diff(&after).unwrap();
        assert_eq!(over["alerts_gone"][0], diff["alerts"][0]["id"]);
    }

    #[test]
    fn time_alone_changes_nothing() {
        let mut fleet = fleet(3);
        say(&mut fleet, "pi0001", true);
        fire(&mut fleet, "pi0001", "hung", "no output");
        let before = View::of(&fleet, Vec::new());
        fleet.now = at(60);
        assert_eq!(before.diff(&View::of(&fleet, Vec::new())), None);
    }
}
