//! The fleet in Prometheus' text format. Pure.
//!
//! Labels are bounded by the inventory (host, project) and by the tables of detectors: a name that a host makes up
//! counts as `other`. What is not known now has no sample: an old value is never shown as a new one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use agent_runner::store::time;
use agent_runner::witness::detectors::DETECTORS as HOST_DETECTORS;
use jiff::Timestamp;

use super::counters::{Counted, Counters};
use super::rows::Standing;
use crate::fleetview::alert::Phase;
use crate::fleetview::detectors::DETECTORS as FLEET_DETECTORS;
use crate::fleetview::state::{Fleet, StreamId, StreamState};

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What every name begins with.
const PREFIX: &str = "agent_runner_";

/// What the controller itself is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Own {
    /// Open pages.
    pub pages: usize,
}

/// Returns everything as text.
pub fn text(fleet: &Fleet, counted: &Counted, own: Own) -> String {
    let mut out = Text::default();
    of_fleet(&mut out, fleet, own);
    let streams: Vec<_> =
        fleet.streams.iter().map(|(id, state)| (id, &**state, Standing::of(state))).collect();
    for gauge in GAUGES {
        out.family(gauge.name, "gauge", gauge.help);
        for (id, state, standing) in &streams {
            if let Some(value) = (gauge.value)(state, *standing) {
                out.sample(gauge.name, &labels(id), value);
            }
        }
    }
    alerts(&mut out, fleet);
    counters(&mut out, fleet, counted);
    out.0
}

/// A figure of each stream.
struct Gauge {
    name: &'static str,
    help: &'static str,
    value: fn(&StreamState, Standing) -> Option<f64>,
}

const GAUGES: &[Gauge] = &[
    Gauge {
        name: "stream_up",
        help: "Whether the host's stream flows: connected, and not silent for too long.",
        value: |_, standing| Some(flag(standing.is_known())),
    },
    Gauge {
        name: "stream_last_data_timestamp_seconds",
        help: "When the stream's last line came.",
        value: |state, _| Some(seconds(state.last_data.wall)),
    },
    Gauge {
        name: "service_active",
        help: "Whether the project's service runs; no sample while that is not known.",
        value: |_, standing| standing.is_known().then(|| flag(standing == Standing::Active)),
    },
    Gauge {
        name: "service_auto_stopped",
        help: "Whether the service was stopped for a detector and does not run again yet.",
        value: |state, _| Some(flag(state.stopped.is_some())),
    },
    Gauge {
        name: "round_running",
        help: "Whether a round is in progress; no sample while that is not known.",
        value: |state, standing| known(state, standing).map(|said| flag(said.running)),
    },
    Gauge {
        name: "round_number",
        help: "The newest round's number.",
        value: |state, standing| known(state, standing)?.round_num.map(float),
    },
    Gauge {
        name: "last_round_exit_code",
        help: "How the last finished round ended.",
        value: |state, standing| known(state, standing)?.last_exit_code.map(float),
    },
    Gauge {
        name: "last_round_duration_seconds",
        help: "How long the last finished round took.",
        value: |state, standing| known(state, standing)?.last_duration_s,
    },
    Gauge {
        name: "last_round_end_timestamp_seconds",
        help: "When a round's agent last ended.",
        value: |state, _| state.rounds.last_end.map(seconds),
    },
    Gauge {
        name: "disk_used_ratio",
        help: "How much of the log dir's disk is in use, 0 to 1.",
        value: |state, standing| known(state, standing)?.disk_used_pct.map(|percent| percent / 100.0),
    },
    Gauge {
        name: "memory_available_bytes",
        help: "Memory the host has left.",
        value: |state, standing| Some(float(known(state, standing)?.mem_available_mb?) * 1_048_576.0),
    },
    Gauge {
        name: "throttled_until_timestamp_seconds",
        help: "Until when the provider throttles the login; no sample when it does not.",
        value: |state, standing| {
            let until = known(state, standing)?.throttled_until.as_deref()?;
            time::parse(until).map(seconds)
        },
    },
    Gauge {
        name: "detectors_blind",
        help: "Detectors that cannot judge on the host; no sample while that is not known.",
        value: |state, standing| known(state, standing).map(|said| size(said.cannot_judge.len())),
    },
    Gauge {
        name: "clock_skew_seconds",
        help: "The host's clock less the controller's.",
        value: |state, standing| standing.is_known().then_some(state.skew_s).flatten().map(float),
    },
];

fn known(state: &StreamState, standing: Standing) -> Option<&agent_runner::witness::stream::State> {
    standing.is_known().then_some(state.state.as_ref()).flatten()
}

fn of_fleet(out: &mut Text, fleet: &Fleet, own: Own) {
    out.family("fleet_info", "gauge", "Which fleet is watched, by which release; always 1.");
    out.sample("fleet_info", &[("fleet", &fleet.name), ("version", env!("CARGO_PKG_VERSION"))], 1.0);
    out.family("fleet_last_update_timestamp_seconds", "gauge", "When the watch last looked at the fleet.");
    out.sample("fleet_last_update_timestamp_seconds", &[], seconds(fleet.now.wall));
    out.family("fleet_streams", "gauge", "Watched projects, by how their service stands.");
    let mut standings: BTreeMap<&str, usize> = Standing::ALL.map(|standing| (standing.word(), 0)).into();
    for state in fleet.streams.values() {
        *standings.entry(Standing::of(state).word()).or_default() += 1;
    }
    for (word, count) in standings {
        out.sample("fleet_streams", &[("standing", &word.replace([' ', '-'], "_"))], size(count));
    }
    out.family("silences", "gauge", "Silences that have not ended.");
    out.sample("silences", &[], size(fleet.silences.len()));
    out.family("dashboard_pages", "gauge", "Pages that are open and live.");
    out.sample("dashboard_pages", &[], size(own.pages));
    out.family("sink_up", "gauge", "Whether the sink took the last message.");
    for sink in fleet.sinks.iter() {
        out.sample("sink_up", &[("sink", &sink.name)], flag(sink.failing.is_none()));
    }
    out.family("sink_waiting_messages", "gauge", "Messages that wait for the sink on disk.");
    for sink in fleet.sinks.iter() {
        out.sample("sink_waiting_messages", &[("sink", &sink.name)], big(sink.waiting));
    }
    out.family(
        "sink_dropped_messages_total",
        "counter",
        "Messages dropped because too many waited for the sink, or because it refused them for good.",
    );
    for sink in fleet.sinks.iter() {
        out.sample("sink_dropped_messages_total", &[("sink", &sink.name)], big(sink.dropped));
    }
}

/// The labels of an alert's series.
type Labels<'a> = [(&'static str, &'a str); 5];

fn alerts(out: &mut Text, fleet: &Fleet) {
    let mut firing: BTreeMap<Labels<'_>, (usize, usize)> = BTreeMap::new();
    for alert in fleet.alerts.open().filter(|alert| alert.phase == Phase::Firing) {
        let subject = &alert.key.subject;
        let labels = [
            ("host", subject.host().map_or("", |host| &**host)),
            ("project", subject.project().map_or("", |project| &**project)),
            ("account", subject.account().map_or("", |account| &**account)),
            ("detector", detector(&alert.key.detector)),
            ("severity", alert.severity.as_str()),
        ];
        let (all, muted) = firing.entry(labels).or_default();
        *all += 1;
        *muted += usize::from(alert.muted.is_some());
    }
    out.family("alerts_firing", "gauge", "Alerts that fire, silenced ones and explained ones included.");
    for (labels, (all, _)) in &firing {
        out.sample("alerts_firing", labels, size(*all));
    }
    out.family(
        "alerts_muted",
        "gauge",
        "Alerts that fire and are not sent: silenced, or explained by another.",
    );
    for (labels, (_, muted)) in &firing {
        out.sample("alerts_muted", labels, size(*muted));
    }
}

/// Returns a detector's name if it is one of ours, or `other`: hosts name detectors, and must not make up series.
fn detector(name: &str) -> &'static str {
    let of_hosts = HOST_DETECTORS.iter().map(|detector| detector.name);
    let of_fleet = FLEET_DETECTORS.iter().flat_map(|detector| detector.names.iter().copied());
    of_hosts.chain(of_fleet).find(|known| *known == name).unwrap_or("other")
}

fn counters(out: &mut Text, fleet: &Fleet, counted: &Counted) {
    let none = Counters::default();
    let each: Vec<(&StreamId, &Counters)> =
        fleet.streams.keys().map(|id| (id, counted.get(id).unwrap_or(&none))).collect();
    out.family("rounds_total", "counter", "Rounds whose agent ended since the watch began, by how.");
    for (id, counters) in &each {
        for (outcome, count) in &counters.rounds {
            let [host, project] = labels(id);
            out.sample("rounds_total", &[host, project, ("outcome", outcome.as_str())], big(*count));
        }
    }
    out.family("round_duration_seconds", "summary", "How long rounds took since the watch began.");
    for (id, counters) in &each {
        out.sample("round_duration_seconds_sum", &labels(id), counters.seconds);
        out.sample("round_duration_seconds_count", &labels(id), big(counters.rounds.values().sum()));
    }
    out.family("cost_usd_total", "counter", "What rounds cost since the watch began, in US dollars.");
    for (id, counters) in &each {
        out.sample("cost_usd_total", &labels(id), counters.cost_usd);
    }
    out.family("stream_lost_total", "counter", "Connections lost since the watch began.");
    for (id, counters) in &each {
        out.sample("stream_lost_total", &labels(id), big(counters.lost));
    }
    out.family("auto_stops_total", "counter", "Stops for a detector since the watch began, by who did it.");
    for (id, counters) in &each {
        let [host, project] = labels(id);
        out.sample("auto_stops_total", &[host, project, ("by", "controller")], big(counters.stops.0));
        out.sample("auto_stops_total", &[host, project, ("by", "host")], big(counters.stops.1));
    }
}

fn labels(id: &StreamId) -> [(&str, &str); 2] {
    [("host", &id.host), ("project", &id.project)]
}

fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "the format's numbers are floating point")]
fn float(value: i64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "the format's numbers are floating point")]
fn big(value: u64) -> f64 {
    value as f64
}

fn size(value: usize) -> f64 {
    big(u64::try_from(value).unwrap_or(u64::MAX))
}

/// The text under construction.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.0, "{PREFIX}{name}");
        for (place, (label, text)) in labels.iter().enumerate() {
            let open = if place == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{}\"", escaped(text));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }
}

/// Returns a label's value as the format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleetview::told::{StoppedBy, Told};
    use crate::web::counters::count;
    use crate::web::view::tests::{blind, fire, fleet, lose, say};
    use agent_runner::store::follow::Cursor;
    use serde_json::json;

    fn id(host: &str) -> StreamId {
        StreamId { host: host.into(), project: "research".into() }
    }

    fn event(host: &str, event: serde_json::Value) -> Told {
        Told::Event { stream: id(host), cursor: Cursor::at("events-2026-01.jsonl", 1), event }
    }

    #[test]
    fn every_sample_belongs_to_a_family_with_help_and_type() {
        let mut fleet = fleet(2);
        say(&mut fleet, "pi0001", true);
        fire(&mut fleet, "pi0001", "hung", "no output");
        blind(&mut fleet, "pi0001", "round.log: no access");
        let text = text(&fleet, &Counted::new(), Own { pages: 3 });
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = name.strip_suffix("_sum").or(name.strip_suffix("_count")).unwrap_or(name);
            let typed =
                text.contains(&format!("# TYPE {family} ")) && text.contains(&format!("# HELP {family} "));
            assert!(typed && name.starts_with(PREFIX), "{line}");
        }
        for line in [
            "agent_runner_stream_up{host=\"pi0001\",project=\"research\"} 1",
            "agent_runner_stream_up{host=\"pi0002\",project=\"research\"} 0",
            "agent_runner_disk_used_ratio{host=\"pi0001\",project=\"research\"} 0.25",
            "agent_runner_memory_available_bytes{host=\"pi0001\",project=\"research\"} 536870912",
            "agent_runner_detectors_blind{host=\"pi0001\",project=\"research\"} 1",
            "agent_runner_alerts_firing{host=\"pi0001\",project=\"research\",account=\"\",detector=\"detectors_blind\",severity=\"warning\"} 1",
            "agent_runner_dashboard_pages 3",
            "agent_runner_alerts_firing{host=\"pi0001\",project=\"research\",account=\"\",detector=\"hung\",severity=\"critical\"} 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("service_active{host=\"pi0002\""), "nothing is known of it");
    }

    #[test]
    fn a_lost_host_has_no_figures_that_look_new() {
        let mut fleet = fleet(1);
        say(&mut fleet, "pi0001", true);
        lose(&mut fleet, "pi0001", "reset");
        let text = text(&fleet, &Counted::new(), Own::default());
        assert!(text.contains("agent_runner_stream_up{host=\"pi0001\",project=\"research\"} 0"));
        for name in [
            "service_active{",
            "round_running{",
            "disk_used_ratio{",
            "memory_available_bytes{",
            "detectors_blind{",
        ] {
            assert!(!text.contains(name), "{name}\n{text}");
        }
    }

    #[test]
    fn what_hosts_make_up_makes_no_series() {
        let mut fleet = fleet(1);
        say(&mut fleet, "pi0001", true);
        for number in 0..20 {
            fire(&mut fleet, "pi0001", &format!("moon_{number}\"\n"), "x");
        }
        let text = text(&fleet, &Counted::new(), Own::default());
        assert!(!text.contains("moon"), "{text}");
        assert!(text.contains("detector=\"other\",severity=\"critical\"} 20"), "{text}");
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }

    #[test]
    fn rounds_cost_and_stops_are_counted() {
        let mut counted = Counted::new();
        count(
            &mut counted,
            &[
                event("pi0001", json!({"event": "agent_exit", "exit_cause": "clean", "duration_s": 2.5})),
                event(
                    "pi0001",
                    json!({"event": "agent_exit", "exit_cause": "from the moon", "duration_s": -9}),
                ),
                event("pi0001", json!({"event": "agent_exit", "exit_cause": "grace_kill"})),
                event("pi0001", json!({"event": "agent_usage_recorded", "cost_usd": 0.25})),
                Told::LinkDown { stream: id("pi0001"), reason: "x".into() },
                Told::Stopped { stream: id("pi0001"), detector: "hung".into(), by: StoppedBy::Host },
            ],
        );
        let text = text(&fleet(1), &counted, Own::default());
        for line in [
            "agent_runner_rounds_total{host=\"pi0001\",project=\"research\",outcome=\"clean\"} 1",
            "agent_runner_rounds_total{host=\"pi0001\",project=\"research\",outcome=\"grace_kill\"} 1",
            "agent_runner_rounds_total{host=\"pi0001\",project=\"research\",outcome=\"other\"} 1",
            "agent_runner_round_duration_seconds_sum{host=\"pi0001\",project=\"research\"} 2.5",
            "agent_runner_round_duration_seconds_count{host=\"pi0001\",project=\"research\"} 3",
            "agent_runner_cost_usd_total{host=\"pi0001\",project=\"research\"} 0.25",
            "agent_runner_stream_lost_total{host=\"pi0001\",project=\"research\"} 1",
            "agent_runner_auto_stops_total{host=\"pi0001\",project=\"research\",by=\"host\"} 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
    }
}
