//! What a run takes up from the one before it, and what it leaves alone.

use std::collections::BTreeSet;

use agent_runner::store::follow::Cursor;
use agent_runner::witness::alert::Severity;
use agent_runner_inventory::{Monitor, Share};
use jiff::Timestamp;
use serde_json::{Map, json};

use super::alert::{AlertState, Key, Phase, Subject};
use super::beginning::Beginning;
use super::brake::Brake;
use super::fixture::{at, id};
use super::fold::{Input, fold};
use super::fold_tests::{hello, said, state};
use super::life::Alerts;
use super::state::{Fleet, HostFacts, StreamId};

fn policy() -> Monitor {
    Monitor { brake: Share::Percent(50), repeat_s: 60, ..Monitor::default() }
}

fn firing(subject: Subject) -> AlertState {
    AlertState {
        key: Key::new(subject, "hung"),
        account: None,
        severity: Severity::Warning,
        message: "m".into(),
        context: Map::new(),
        phase: Phase::Firing,
        since: Timestamp::UNIX_EPOCH,
        fired_at: Some(Timestamp::UNIX_EPOCH),
        resolved_at: None,
        quiet_since: None,
        acked: None,
        muted: None,
        sent_at: Some(Timestamp::UNIX_EPOCH),
        sent: 1,
    }
}

#[test]
fn a_fleet_is_what_is_watched_whatever_an_earlier_run_has_seen() {
    let cursor = |offset| Some(Cursor::at("e", offset));
    // Ten streams were watched once; one of them still is, and a new one.
    let earlier = ["b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    let mut beginning = Beginning {
        streams: earlier.iter().map(|host| (id(host), cursor(7))).collect(),
        rounds: vec![(id("c"), json!({})), (id("b"), json!({}))],
        ..Beginning::default()
    };
    beginning.keep(&["a", "b"].map(id).into());
    beginning.streams.entry(id("a")).or_default();
    assert_eq!(beginning.rounds.len(), 1);
    let fleet = Fleet::new(beginning, &policy(), at(0));
    let streams: Vec<(StreamId, Option<Cursor>)> =
        fleet.streams.iter().map(|(id, state)| (id.clone(), state.cursor.clone())).collect();
    assert_eq!(streams, [(id("a"), None), (id("b"), cursor(7))]);
    assert_eq!(fleet.brake, Brake::new(Share::Percent(50), 2), "the share of two hosts, not of eleven");
}

#[test]
fn what_the_brake_held_back_elsewhere_stays_held_back_and_who_looks_on_says_nothing_of_it() {
    let brake = AlertState {
        key: Key::new(Subject::Fleet, "brake_engaged"),
        context: Map::from_iter([("held_back".to_owned(), json!(["b/p", "c/p", "gone/p"]))]),
        ..firing(Subject::Fleet)
    };
    let host = || HostFacts { projects: Some(["p".into()].into()), ..HostFacts::default() };
    let beginning = || {
        let hosts = ["a", "b", "c"].map(|name| (name.into(), host())).into();
        let alerts = Alerts::restored([brake.clone()]);
        let mut beginning = Beginning { hosts, alerts, ..Beginning::default() };
        beginning.keep(&[id("a")].into());
        beginning.streams.insert(id("a"), None);
        beginning
    };
    let mut fleet = Fleet::new(beginning(), &policy(), at(1000));
    for line in [hello(true), state(true)] {
        fold(&mut fleet, Input::Line(id("a"), Box::new(line)), &policy(), at(1001));
    }
    for second in [1010, 2000] {
        let told = fold(&mut fleet, Input::Tick, &policy(), at(second));
        assert!(!said(&told).iter().any(|told| told.starts_with("resolved")), "{told:?}");
    }
    let open = fleet.alerts.get(&brake.key).unwrap();
    assert_eq!(open.context["held_back"], json!(["b/p", "c/p"]));

    let mut looks_on = beginning();
    looks_on.look_on();
    assert_eq!(looks_on.alerts.open().count(), 0);
}

#[test]
fn an_alert_about_what_is_not_watched_is_left_alone_and_one_about_what_is_gone_is_ended() {
    let host = |account: Option<&str>, projects: &[&str]| HostFacts {
        account: account.map(Into::into),
        projects: Some(projects.iter().map(|project| (*project).into()).collect::<BTreeSet<_>>()),
    };
    let stream =
        |host: &str, project: &str| Subject::Stream(StreamId { host: host.into(), project: project.into() });
    let account = |name: &str| Subject::Account(name.into());
    let machine = |name: &str| Subject::Host(name.into());
    for (subject, kept, over) in [
        // Watched: what becomes of it is for this run to say, once it has heard of it.
        (stream("a", "p"), true, false),
        (account("team"), true, false),
        (machine("a"), true, false),
        (Subject::Fleet, true, false),
        // There, but not watched now.
        (stream("a", "q"), false, false),
        (stream("b", "p"), false, false),
        (machine("b"), false, false),
        (account("other"), false, false),
        // Gone: renamed, removed, or left without a project.
        (account("renamed"), true, true),
        (machine("bare"), true, true),
        (machine("c"), true, true),
        (stream("a", "r"), true, true),
        (stream("bare", "p"), true, true),
    ] {
        let mut beginning = Beginning {
            hosts: [
                ("a".into(), host(Some("team"), &["p", "q"])),
                ("b".into(), host(Some("other"), &["p"])),
                ("bare".into(), host(Some("renamed"), &[])),
            ]
            .into(),
            alerts: Alerts::restored([firing(subject.clone())]),
            ..Beginning::default()
        };
        beginning.keep(&[id("a")].into());
        beginning.streams.insert(id("a"), None);
        let mut fleet = Fleet::new(beginning, &policy(), at(1000));
        assert_eq!(fleet.alerts.open().count(), usize::from(kept), "{subject}");
        let told = fold(&mut fleet, Input::Tick, &policy(), at(1001));
        assert_eq!(said(&told).contains(&"resolved hung".to_owned()), over, "{subject}: {told:?}");
        assert!(kept || told.is_empty(), "{subject}: neither repeated nor ended: {told:?}");
    }
}
