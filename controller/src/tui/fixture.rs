//! A small shelf of hosts, one of each kind, for the tests of the dashboard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_runner::store::follow::Cursor;
use agent_runner::store::time::stamp;
use agent_runner::witness::alert::{Alert, Severity};
use agent_runner::witness::stream::{Hello, State, StreamLine};
use agent_runner_inventory::Monitor;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::feed::Feed;
use super::rows::Facts;
use crate::fleetview::alert::{Ack, Key, Subject};
use crate::fleetview::beginning::Beginning;
use crate::fleetview::fixture;
pub(super) use crate::fleetview::fixture::at;
use crate::fleetview::fold::{Input, fold};
use crate::fleetview::silence::Silence;
use crate::fleetview::state::{Fleet, HostFacts, Reach, StreamId};
use crate::fleetview::told::Told;

/// How a host says its project is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Working,
    Idle,
    Stopped,
}

/// What a host says of its project.
pub(super) fn said(how: Said) -> State {
    State {
        active: how != Said::Stopped,
        round_num: Some(12),
        phase: Some("work".into()),
        running: how == Said::Working,
        since: Some(stamp(at(940).wall)),
        last_exit_code: Some(0),
        last_duration_s: Some(42.5),
        disk_used_pct: Some(61.0),
        mem_available_mb: Some(412),
        ..fixture::state()
    }
}

pub(super) fn facts() -> Facts {
    let group = |name: &str| vec![Arc::from(name)];
    let shelf = (1..9).map(|number| (Arc::from(format!("pi{number}")), group("shelf")));
    Facts {
        groups: shelf.chain([(Arc::from("pi10"), group("attic"))]).collect(),
        stale_after: Duration::from_secs(30),
        guards: true,
        zone: TimeZone::UTC,
    }
}

pub(super) fn id(host: &str) -> StreamId {
    StreamId { host: host.into(), project: "research".into() }
}

/// Nine hosts at 1000 seconds: working, auto-stopped, failing, throttled, unreachable, stale, stopped, not heard yet.
pub(super) fn shelf() -> Fleet {
    told().0
}

/// What the shelf's hosts said.
pub(super) fn feed() -> Feed {
    told().1
}

fn told() -> (Fleet, Feed) {
    let policy = Monitor { stale_after_s: 30, ..Monitor::default() };
    let names = ["pi1", "pi2", "pi3", "pi4", "pi5", "pi6", "pi7", "pi8", "pi10"];
    let account = |name: &str| match name {
        "pi1" | "pi2" => Some("team-a".into()),
        "pi3" | "pi4" => Some("team-b".into()),
        _ => None,
    };
    let hosts =
        names.iter().map(|name| (Arc::from(*name), HostFacts { account: account(name), projects: None }));
    let silence = Silence {
        id: 4,
        matchers: vec!["host=pi7".parse().unwrap()],
        comment: "moving".into(),
        by: "ops".into(),
        from: at(900).wall,
        until: at(8200).wall,
    };
    let beginning = Beginning {
        name: "shelf".into(),
        hosts: hosts.collect(),
        streams: names.iter().map(|name| (id(name), None)).collect(),
        silences: vec![silence],
        ..Beginning::default()
    };
    let mut fleet = Fleet::new(beginning, &policy, at(600));
    let mut feed = Feed::default();
    let mut tell = |second: u64, input: Input| {
        for one in fold(&mut fleet, input, &policy, at(second)) {
            feed.hear(&one, at(second).wall);
        }
    };
    for (name, heard) in [
        ("pi5", 700),
        ("pi6", 960),
        ("pi1", 990),
        ("pi2", 990),
        ("pi3", 990),
        ("pi4", 990),
        ("pi7", 990),
        ("pi10", 998),
    ] {
        tell(heard, Input::Connected(id(name)));
        tell(heard, line(name, hello(heard)));
        for (number, event) in rounds(name).into_iter().enumerate() {
            let cursor = Cursor::at("events", number as u64 + 1);
            tell(heard, line(name, StreamLine::Event { cursor, event }));
        }
        for (detector, severity, message) in alerts(name) {
            tell(heard, line(name, alert(detector, severity, message)));
        }
        tell(heard, line(name, StreamLine::State(state(name))));
    }
    tell(995, Input::Lost(id("pi5"), "connection timed out".into(), Reach::Unreached));
    // A host that is slow to answer at all: its time has begun only now.
    tell(1000, Input::Tick);
    let noted = Key::new(Subject::Stream(id("pi4")), "rate_limit_active");
    tell(1000, Input::Acknowledged(noted, Some(Ack { by: "ops".into(), at: at(999).wall })));
    let fresh = Arc::make_mut(fleet.streams.get_mut(&id("pi8")).unwrap());
    fresh.last_data = at(999);
    fresh.silent = None;
    (fleet, feed)
}

fn line(host: &str, line: StreamLine) -> Input {
    Input::Line(id(host), Box::new(line))
}

fn hello(second: u64) -> StreamLine {
    StreamLine::Hello(Hello { project: "research".into(), at: stamp(at(second).wall), ..fixture::hello() })
}

fn state(host: &str) -> State {
    match host {
        "pi2" | "pi7" => said(Said::Stopped),
        "pi3" => State { last_exit_code: Some(1), disk_used_pct: Some(97.0), ..said(Said::Idle) },
        "pi4" => State { throttled_until: Some(stamp(at(3000).wall)), ..said(Said::Idle) },
        _ => said(Said::Working),
    }
}

fn alerts(host: &str) -> Vec<(&'static str, Severity, &'static str)> {
    match host {
        "pi2" => vec![("oauth_fail", Severity::Critical, "3/10 of the last rounds failed auth")],
        "pi3" => {
            vec![("disk_low", Severity::Warning, "97 % used; \u{1b}[2J\u{65e5}\u{672c}\u{8a9e}\r\u{202e}")]
        }
        "pi4" => vec![("rate_limit_active", Severity::Warning, "until 00:50")],
        "pi7" => vec![("hung", Severity::Critical, "no event for 20 min")],
        _ => Vec::new(),
    }
}

fn alert(detector: &str, severity: Severity, message: &str) -> StreamLine {
    let alert = Alert {
        severity,
        message: message.into(),
        context: Map::from_iter([("rounds".to_owned(), json!(10))]),
        ts: stamp(at(980).wall),
        ..fixture::alert(detector)
    };
    StreamLine::Alert { identity: detector.into(), alert }
}

fn rounds(host: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for number in 1..=12_u64 {
        let ts = |offset: u64| stamp(at(300 + number * 50 + offset).wall);
        let last = number == 12;
        events.push(json!({"ts": ts(0), "event": "round_start", "round_num": number, "phase": "work"}));
        if last && !matches!(host, "pi2" | "pi3") {
            break;
        }
        let cause = match number {
            4 => "timeout",
            _ if last || number == 9 => "error",
            _ => "clean",
        };
        events.push(json!({"ts": ts(40), "event": "agent_exit", "round_num": number, "exit_code": u8::from(cause != "clean"),
            "duration_s": 5 * number % 37, "exit_cause": cause}));
        events.push(
            json!({"ts": ts(41), "event": "agent_usage_recorded", "round_num": number, "cost_usd": 0.25}),
        );
    }
    if host == "pi2" {
        events.push(json!({"ts": stamp(at(985).wall), "event": "monitor_auto_stop_triggered", "detector": "oauth_fail"}));
    }
    events
}

/// So many hosts, all alike but for what differs in any fleet.
pub(super) fn many(count: u64) -> Fleet {
    let policy = Monitor::default();
    let name = |number: u64| format!("rack{}-{:02}", number / 40 + 1, number % 40);
    let hosts = (0..count)
        .map(|number| (name(number).into(), HostFacts { account: Some("fleet".into()), projects: None }));
    let streams: BTreeMap<_, _> = (0..count).map(|number| (id(&name(number)), None)).collect();
    let beginning =
        Beginning { name: "many".into(), hosts: hosts.collect(), streams, ..Beginning::default() };
    let mut fleet = Fleet::new(beginning, &policy, at(990));
    for number in 0..count {
        let host = name(number);
        let how = match (number % 7, number % 3) {
            (0, _) => Said::Stopped,
            (_, 0) => Said::Working,
            _ => Said::Idle,
        };
        let said = State { round_num: i64::try_from(number).ok(), ..said(how) };
        let inputs =
            [Input::Connected(id(&host)), line(&host, hello(995)), line(&host, StreamLine::State(said))];
        for input in inputs {
            let _: Vec<Told> = fold(&mut fleet, input, &policy, at(995));
        }
    }
    let _: Vec<Told> = fold(&mut fleet, Input::Tick, &policy, at(1000));
    fleet
}
