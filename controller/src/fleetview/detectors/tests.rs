//! The controller's own detectors, one by one. Those that the fold's tests show are not repeated here.

use std::sync::Arc;
use std::time::Duration;

use agent_runner::store::time::stamp;
use agent_runner::witness::alert::Blindness;
use agent_runner::witness::stream::{Hello, State};
use agent_runner_inventory::Monitor;
use jiff::Timestamp;
use serde_json::json;

use super::{DETECTORS, observe};
use crate::fleetview::alert::{Key, Subject};
use crate::fleetview::beginning::Beginning;
use crate::fleetview::fixture::{self, id};
use crate::fleetview::life::Rules;
use crate::fleetview::state::{
    Fleet, HostFacts, Link, Moment, Reach, Silent, SinkHealth, StreamId, StreamState,
};

const NOW: i64 = 1_000_000;

fn at(second: i64) -> String {
    stamp(Timestamp::from_second(second).unwrap())
}

/// At work in its first round.
fn state() -> State {
    State { round_num: Some(1), running: true, last_exit_code: None, ..fixture::state() }
}

fn hello(version: &str) -> Hello {
    Hello { version: version.into(), at: at(NOW), ..fixture::hello() }
}

/// Three hosts of one account, all up and at work.
fn fleet(change: impl Fn(&str, &mut StreamState)) -> Fleet {
    let now = Moment { wall: Timestamp::from_second(NOW).unwrap(), mono: Duration::from_secs(1000) };
    let hosts = ["a", "b", "c"];
    let beginning = Beginning {
        name: "attic".into(),
        hosts: hosts
            .iter()
            .map(|host| ((*host).into(), HostFacts { account: Some("team".into()), projects: None }))
            .collect(),
        wanted: hosts.iter().map(|host| (id(host), Arc::from("good"))).collect(),
        streams: hosts.iter().map(|host| (id(host), None)).collect(),
        ..Beginning::default()
    };
    let mut fleet = Fleet::new(beginning, &Monitor::default(), now);
    for host in hosts {
        let stream = Arc::make_mut(fleet.streams.get_mut(&id(host)).unwrap());
        (stream.link, stream.spoken) = (Link::Up, true);
        (stream.state, stream.hello) = (Some(state()), Some(hello("0.1.0")));
        change(host, stream);
    }
    fleet
}

fn seen(fleet: &Fleet) -> Vec<String> {
    let seen = observe(fleet, &Monitor::default(), &Rules::default());
    seen.raised
        .iter()
        .map(|(key, seen)| format!("{} {}: {}", key.subject, key.detector, seen.message))
        .collect()
}

#[test]
fn a_healthy_fleet_raises_nothing_and_is_known() {
    let fleet = fleet(|_, _| {});
    assert_eq!(seen(&fleet), [""; 0]);
    let known = observe(&fleet, &Monitor::default(), &Rules::default()).known;
    for subject in
        [Subject::Fleet, Subject::Account("team".into()), Subject::Host("a".into()), Subject::Stream(id("a"))]
    {
        assert!(known.contains(&subject), "{subject}");
    }
}

#[test]
fn a_throttled_account_is_one_incident_with_the_latest_reset() {
    let fleet = fleet(|host, stream| {
        let until = match host {
            "a" => at(NOW + 60),
            "b" => at(NOW + 7200),
            _ => at(NOW - 1),
        };
        stream.state.as_mut().unwrap().throttled_until = Some(until);
    });
    let expected = format!(
        "account team account_rate_limit: team is throttled until {}, seen on 2 of its hosts",
        at(NOW + 7200)
    );
    assert_eq!(seen(&fleet), [expected]);
}

#[test]
fn different_versions_are_named_with_their_hosts() {
    let fleet = fleet(|host, stream| {
        stream.hello = Some(hello(if host == "c" { "0.2.0" } else { "0.1.0" }));
    });
    assert_eq!(seen(&fleet), ["the fleet version_skew: different agents: 0.1.0 on 2 (a, b); 0.2.0 on 1 (c)"]);
}

#[test]
fn a_configuration_that_is_not_the_inventorys_is_named_and_an_old_agents_silence_is_not() {
    let fleet = fleet(|host, stream| {
        stream.state.as_mut().unwrap().config_sha256 = match host {
            "a" => Some("bad".into()),
            "b" => Some("good".into()),
            _ => None,
        };
    });
    assert_eq!(seen(&fleet).len(), 1);
    assert!(seen(&fleet)[0].starts_with("a/p config_drift"), "{:?}", seen(&fleet));
}

#[test]
fn a_host_whose_detectors_cannot_judge_is_named_with_which_and_why() {
    let blind = |count: usize| {
        let names = ["oauth_fail", "hung", "disk_low", "timeout_rate", "disk_growth"];
        let blind = |name: &&str| Blindness { detector: (*name).into(), error: "no access".into() };
        names.iter().take(count).map(blind).collect::<Vec<_>>()
    };
    for (count, expected) in [
        (1, &["a/p detectors_blind: oauth_fail cannot judge: no access"][..]),
        (
            5,
            &["a/p detectors_blind: oauth_fail cannot judge: no access; hung cannot judge: no access; \
               disk_low cannot judge: no access; and 2 more"],
        ),
        (0, &[]),
    ] {
        let fleet = fleet(|host, stream| {
            if host == "a" {
                stream.state.as_mut().unwrap().cannot_judge = blind(count);
            }
        });
        assert_eq!(seen(&fleet), expected, "{count}");
    }
}

/// A round in progress that began so many seconds ago, of an agent that may run for 100.
fn started(stream: &mut StreamState, age: i64) {
    let now = Timestamp::from_second(NOW).unwrap();
    for event in [
        json!({"event": "round_start", "round_num": 1, "ts": at(NOW - age)}),
        json!({"event": "agent_spawn", "round_num": 1, "timeout_s": 100, "ts": at(NOW - age)}),
    ] {
        stream.rounds.take(&event, now);
    }
    stream.state.as_mut().unwrap().since = Some(at(NOW - age));
}

fn ended(stream: &mut StreamState, age: i64) {
    let end = json!({"event": "agent_exit", "round_num": 1, "ts": at(NOW - age), "exit_code": 0});
    stream.rounds.take(&end, Timestamp::from_second(NOW).unwrap());
}

#[test]
fn a_fleet_in_which_no_round_ends_is_stalled_and_a_throttled_paused_or_stopped_one_is_not() {
    type Change<'a> = &'a dyn Fn(&str, &mut StreamState);
    let idle = |stream: &mut StreamState| stream.state.as_mut().unwrap().running = false;
    let cases: [(&str, Change<'_>, bool); 10] = [
        ("not long enough", &|_, stream| started(stream, 300), false),
        ("long enough", &|_, stream| started(stream, 301), true),
        (
            "one ended",
            &|host, stream| {
                started(stream, 1000);
                if host == "b" {
                    ended(stream, 200);
                }
            },
            false,
        ),
        (
            "one ended and is between its rounds",
            &|host, stream| {
                started(stream, 1000);
                if host == "b" {
                    ended(stream, 200);
                    idle(stream);
                }
            },
            false,
        ),
        (
            "one waits for its window, the others hang",
            &|host, stream| {
                started(stream, 1000);
                if host == "b" {
                    ended(stream, 900);
                    idle(stream);
                }
            },
            true,
        ),
        (
            "all wait for their window",
            &|_, stream| {
                started(stream, 10_000);
                ended(stream, 9_000);
                idle(stream);
            },
            false,
        ),
        (
            "the window has just opened",
            &|_, stream| {
                started(stream, 10_000);
                ended(stream, 9_000);
                started(stream, 5);
            },
            false,
        ),
        (
            "the only end lies in the future, and was heard of now",
            &|_, stream| {
                started(stream, 1000);
                ended(stream, -5000);
            },
            false,
        ),
        (
            "throttled",
            &|_, stream| {
                started(stream, 1000);
                stream.state.as_mut().unwrap().throttled_until = Some(at(NOW - 1));
            },
            false,
        ),
        (
            "stopped",
            &|_, stream| {
                started(stream, 1000);
                stream.state.as_mut().unwrap().active = false;
            },
            false,
        ),
    ];
    for (what, change, stalled) in cases {
        let seen = seen(&fleet(change));
        assert_eq!(
            seen.iter().any(|one| one.starts_with("the fleet fleet_stalled")),
            stalled,
            "{what}: {seen:?}"
        );
    }
    // Three times the wall clock after it was heard of, an end from the future is as old as any other.
    let mut later = fleet(|_, stream| {
        started(stream, 1000);
        ended(stream, -5000);
    });
    later.now.wall = Timestamp::from_second(NOW + 301).unwrap();
    assert!(seen(&later).iter().any(|one| one.contains("fleet_stalled")), "{:?}", seen(&later));
}

#[test]
fn a_host_is_one_alert_as_bad_as_its_worst_stream() {
    let mut fleet = fleet(|_, _| {});
    let mut other = StreamState::new(None, fleet.now);
    other.silent = Some(Silent::Unreachable);
    fleet.streams.insert(StreamId { host: "a".into(), project: "q".into() }, Arc::new(other));
    Arc::make_mut(fleet.streams.get_mut(&id("a")).unwrap()).silent = Some(Silent::Stale);
    let seen = observe(&fleet, &Monitor::default(), &Rules::default());
    let keys: Vec<Key> = seen.raised.into_keys().collect();
    assert_eq!(keys, [Key::new(Subject::Host("a".into()), "host_unreachable")]);
}

#[test]
fn a_host_that_gives_no_stream_is_told_with_the_reason_and_of_which_project() {
    let reason = "no agent there: agent-runner-fleet deploy --limit b";
    let silent = |stream: &mut StreamState| {
        stream.silent = Some(Silent::Stale);
        stream.link = Link::Down { reason: reason.into(), reach: Reach::Reached };
    };
    let mut fleet = fleet(|host, stream| {
        if host == "b" {
            silent(stream);
        }
    });
    let since = at(NOW);
    assert_eq!(seen(&fleet), [format!("b host_stale: no data since {since}: {reason}")]);
    let mut other = StreamState::new(None, fleet.now);
    other.link = Link::Up;
    fleet.streams.insert(StreamId { host: "b".into(), project: "a".into() }, Arc::new(other));
    assert_eq!(seen(&fleet), [format!("b host_stale: no data of p since {since}: {reason}")]);
}

#[test]
fn a_sink_that_takes_nothing_is_named() {
    let mut fleet = fleet(|_, _| {});
    let sink =
        SinkHealth { name: "webhook x".into(), waiting: 3, dropped: 0, failing: Some("refused".into()) };
    fleet.sinks = Arc::new(vec![sink]);
    assert_eq!(seen(&fleet), ["the fleet sink_down: messages do not reach webhook x: refused"]);
}

#[test]
fn every_detector_has_an_entry_in_the_runbook() {
    let runbook = include_str!("../../../../docs/runbook.md");
    for name in DETECTORS.iter().flat_map(|detector| detector.names) {
        assert!(runbook.contains(&format!("\n### `{name}`\n")), "docs/runbook.md has nothing about {name}");
    }
}
