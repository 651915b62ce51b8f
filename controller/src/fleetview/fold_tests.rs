//! The fold: what each input makes known.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it looks for; the rest is everything else"
)]

use agent_runner::store::follow::Cursor;
use agent_runner::store::time::stamp;
use agent_runner::witness::alert::{Alert, AutoAction};
use agent_runner::witness::stream::{Hello, State, StreamLine};
use agent_runner_inventory::{Monitor, Share};
use jiff::Timestamp;
use serde_json::json;

use super::beginning::Beginning;
use super::fixture::{self, at, id};
use super::fold::{Input, MAX_ALERTS, STOP_AGAIN, fold};
use super::state::{Fleet, HostFacts, Reach, StreamId};
use super::told::{StoppedBy, Told};

pub(super) fn policy() -> Monitor {
    Monitor {
        auto_stop: vec!["oauth_fail".into()],
        brake: Share::Percent(50),
        stale_after_s: 30,
        ..Monitor::default()
    }
}

pub(super) fn hello(monitor_active: bool) -> StreamLine {
    StreamLine::Hello(Hello { monitor_active, ..fixture::hello() })
}

pub(super) fn state(active: bool) -> StreamLine {
    StreamLine::State(State { active, ..fixture::state() })
}

pub(super) fn alert(detector: &str, auto_action: AutoAction) -> StreamLine {
    let alert = Alert { auto_action, ..fixture::alert(detector) };
    StreamLine::Alert { identity: detector.into(), alert }
}

fn event(offset: u64) -> StreamLine {
    let cursor = Cursor::at("events-2026-01.jsonl", offset);
    StreamLine::Event { cursor, event: serde_json::json!({"event": "round_end"}) }
}

/// Folds lines of one host, a second apart, and names what they made known.
pub(super) fn names(fleet: &mut Fleet, host: &str, from: u64, lines: Vec<StreamLine>) -> Vec<String> {
    let mut names = Vec::new();
    for (second, line) in (from..).zip(lines) {
        let told = fold(fleet, Input::Line(id(host), Box::new(line)), &policy(), at(second));
        names.extend(said(&told));
    }
    names
}

fn name(told: &Told) -> String {
    match told {
        Told::Event { cursor, .. } => format!("event {}", cursor.offset),
        Told::Fired { alert } => format!("fired {}", alert.key.detector),
        Told::Resolved { alert } => format!("resolved {}", alert.key.detector),
        Told::Changed { .. } | Told::Notify(_) => String::new(),
        Told::State { .. } => "state".into(),
        Told::LinkUp { .. } => "up".into(),
        Told::LinkDown { .. } => "down".into(),
        Told::Rebooted { .. } => "rebooted".into(),
        Told::StopWanted { .. } => "stop".into(),
        Told::Stopped { by: StoppedBy::Controller, .. } => "stopped".into(),
        Told::Stopped { by: StoppedBy::Host, .. } => "stopped itself".into(),
        Told::StopFailed { .. } => "stop failed".into(),
        Told::BrakeEngaged { .. } => "brake".into(),
        Told::Resumed { .. } => "resumed".into(),
    }
}

pub(super) fn said(told: &[Told]) -> Vec<String> {
    told.iter().map(name).filter(|name| !name.is_empty()).collect()
}

pub(super) fn fleet(hosts: &[&str]) -> Fleet {
    let account = |host: &&str| (host.split_at(1).0 == "t").then(|| "team".into());
    let beginning = Beginning {
        name: "attic".into(),
        hosts: hosts
            .iter()
            .map(|host| ((*host).into(), HostFacts { account: account(host), projects: None }))
            .collect(),
        streams: hosts.iter().map(|host| (id(host), None)).collect(),
        ..Beginning::default()
    };
    let mut fleet = Fleet::new(beginning, &policy(), at(0));
    for host in hosts {
        fold(&mut fleet, Input::Connected(id(host)), &policy(), at(0));
    }
    fleet
}

#[test]
fn a_replayed_event_is_told_once() {
    let mut fleet = fleet(&["a"]);
    assert_eq!(
        names(&mut fleet, "a", 0, vec![event(10), event(20), hello(true), event(10), event(20), event(30)]),
        ["event 10", "event 20", "event 30"]
    );
}

#[test]
fn the_controller_stops_only_where_no_monitor_does_and_only_what_is_listed() {
    let stop = |detector| alert(detector, AutoAction::StopService);
    let mut one = fleet(&["a"]);
    assert_eq!(names(&mut one, "a", 0, vec![hello(false), stop("oauth_fail")]), ["fired oauth_fail", "stop"]);
    let mut two = fleet(&["a"]);
    assert_eq!(names(&mut two, "a", 0, vec![hello(true), stop("oauth_fail")]), ["fired oauth_fail"]);
    let mut three = fleet(&["a"]);
    assert_eq!(names(&mut three, "a", 0, vec![hello(false), stop("disk_critical")]), ["fired disk_critical"]);
}

#[test]
fn an_alert_that_only_warned_may_come_to_want_a_stop() {
    let mut fleet = fleet(&["a"]);
    let warned = vec![hello(false), alert("oauth_fail", AutoAction::None)];
    assert_eq!(names(&mut fleet, "a", 0, warned), ["fired oauth_fail"]);
    assert_eq!(names(&mut fleet, "a", 5, vec![alert("oauth_fail", AutoAction::StopService)]), ["stop"]);
}

#[test]
fn an_unconfirmed_stop_is_asked_for_again_and_a_confirmed_one_is_not() {
    let mut fleet = fleet(&["a"]);
    names(&mut fleet, "a", 0, vec![hello(false), alert("oauth_fail", AutoAction::StopService)]);
    let later = at(1 + STOP_AGAIN.as_secs());
    fold(&mut fleet, Input::Line(id("a"), Box::new(state(true))), &policy(), at(15));
    let again = fold(&mut fleet, Input::Tick, &policy(), later);
    assert_eq!(said(&again), ["stop"]);
    fold(&mut fleet, Input::Stopped(id("a"), "oauth_fail".into()), &policy(), later);
    assert!(fold(&mut fleet, Input::Tick, &policy(), at(29)).is_empty());
}

#[test]
fn the_brake_holds_back_what_would_be_too_many() {
    let mut fleet = fleet(&["a", "b", "c"]);
    let lines = || vec![hello(false), alert("oauth_fail", AutoAction::StopService)];
    assert_eq!(names(&mut fleet, "a", 0, lines()), ["fired oauth_fail", "stop"]);
    assert_eq!(names(&mut fleet, "b", 2, lines()), ["fired oauth_fail", "fired brake_engaged", "brake"]);
}

#[test]
fn silence_is_stale_then_unreachable_and_data_ends_both() {
    let mut fleet = fleet(&["a"]);
    names(&mut fleet, "a", 0, vec![hello(false), state(true)]);
    let mut tick = |input, second| said(&fold(&mut fleet, input, &policy(), at(second)));
    assert!(tick(Input::Tick, 30).is_empty());
    assert_eq!(tick(Input::Tick, 31), ["fired host_stale"]);
    assert_eq!(tick(Input::Lost(id("a"), "timeout".into(), Reach::Unreached), 40), ["down"]);
    assert_eq!(tick(Input::Tick, 41), ["resolved host_stale", "fired host_unreachable"]);
    assert!(tick(Input::Tick, 50).is_empty());
    assert!(tick(Input::Reached(id("a")), 55).is_empty());
    assert_eq!(tick(Input::Tick, 56), ["resolved host_unreachable", "fired host_stale"]);
    assert_eq!(tick(Input::Lost(id("a"), "timeout".into(), Reach::Unreached), 57), ["down"]);
    assert_eq!(tick(Input::Tick, 58), ["resolved host_stale", "fired host_unreachable"]);
    assert_eq!(tick(Input::Connected(id("a")), 60), ["up"]);
    assert_eq!(tick(Input::Line(id("a"), Box::new(hello(false))), 61), ["resolved host_unreachable"]);
}

#[test]
fn a_host_that_lets_us_in_and_gives_no_stream_is_told_at_once_and_is_an_alert_after_the_delay_of_a_lost_one()
{
    let beginning = Beginning {
        hosts: [("a".into(), HostFacts::default())].into(),
        streams: [(id("a"), None)].into(),
        ..Beginning::default()
    };
    let mut fleet = Fleet::new(beginning, &policy(), at(0));
    let lost = |reason: &str| Input::Lost(id("a"), reason.into(), Reach::Reached);
    let mut alerts = Vec::new();
    for (second, input, expected) in [
        (1, lost("no agent there; deploy it"), &["down"][..]),
        (2, Input::Reached(id("a")), &[]),
        (3, lost("no agent there; deploy it"), &[]),
        (29, Input::Tick, &[]),
        (30, Input::Tick, &["fired host_stale"]),
        (31, lost("no agent there; deploy it"), &[]),
        (40, lost("it is too old; deploy it"), &["down"]),
        (41, Input::Connected(id("a")), &["up"]),
        (42, Input::Line(id("a"), Box::new(hello(false))), &[]),
        (43, Input::Line(id("a"), Box::new(state(true))), &["state"]),
        (47, Input::Tick, &["resolved host_stale"]),
        (48, lost("the stream ended"), &["down"]),
    ] {
        let told = fold(&mut fleet, input, &policy(), at(second));
        assert_eq!(said(&told), expected, "at {second} s");
        alerts.extend(told.into_iter().filter_map(|one| match one {
            Told::Fired { alert } => Some(alert.message.clone()),
            _ => None,
        }));
    }
    assert!(alerts[0].ends_with(": no agent there; deploy it"), "{alerts:?}");
}

#[test]
fn what_ended_while_the_link_was_down_is_resolved_after_the_hello() {
    let mut fleet = fleet(&["a"]);
    let open = vec![hello(true), alert("hung", AutoAction::None), alert("oauth_fail", AutoAction::None)];
    names(&mut fleet, "a", 0, open);
    // In no order that is promised: before the state or behind it.
    names(&mut fleet, "a", 5, vec![state(true)]);
    for (from, again) in [
        (
            10,
            vec![
                hello(true),
                alert("hung", AutoAction::None),
                alert("oauth_fail", AutoAction::None),
                state(true),
            ],
        ),
        (
            20,
            vec![
                hello(true),
                state(true),
                alert("hung", AutoAction::None),
                alert("oauth_fail", AutoAction::None),
            ],
        ),
    ] {
        assert_eq!(names(&mut fleet, "a", from, again), [""; 0]);
        assert_eq!(said(&fold(&mut fleet, Input::Tick, &policy(), at(from + 8))), [""; 0]);
    }
    assert_eq!(
        names(&mut fleet, "a", 30, vec![hello(true), state(true), alert("hung", AutoAction::None)]),
        [""; 0]
    );
    let told = fold(&mut fleet, Input::Tick, &policy(), at(34));
    assert_eq!(said(&told), ["resolved oauth_fail"]);
}

#[test]
fn a_log_that_begins_anew_on_one_connection_is_told_from_its_beginning() {
    let mut fleet = fleet(&["a"]);
    assert_eq!(
        names(&mut fleet, "a", 0, vec![hello(true), event(500), event(10), event(20)]),
        ["event 500", "event 10", "event 20"]
    );
    assert_eq!(names(&mut fleet, "a", 9, vec![hello(true), event(20), event(30)]), ["event 30"]);
}

#[test]
fn a_log_that_took_the_place_of_another_while_nobody_listened_is_told_from_its_beginning() {
    let mut fleet = fleet(&["a"]);
    let of = |mark, offset| match event(offset) {
        StreamLine::Event { cursor, event } => {
            StreamLine::Event { cursor: Cursor { mark: Some(mark), ..cursor }, event }
        }
        other => other,
    };
    assert_eq!(names(&mut fleet, "a", 0, vec![hello(true), of(1, 500)]), ["event 500"]);
    let replayed = vec![hello(true), of(1, 10), of(1, 500)];
    assert!(names(&mut fleet, "a", 3, replayed).is_empty(), "the same file");
    let replaced = vec![hello(true), of(2, 10), of(2, 20)];
    assert_eq!(names(&mut fleet, "a", 6, replaced), ["event 10", "event 20"]);
    assert_eq!(names(&mut fleet, "a", 9, vec![hello(true), of(2, 20), of(2, 30)]), ["event 30"]);
    assert!(
        names(&mut fleet, "a", 12, vec![hello(true), event(20)]).is_empty(),
        "an older agent says no mark"
    );

    // A part of the log was lost: it goes on from before the place that was asked for.
    let behind = |offset| {
        StreamLine::Hello(Hello {
            cursor: Some(Cursor::at("events-2026-01.jsonl", offset)),
            ..fixture::hello()
        })
    };
    let shorter = vec![behind(30), event(15), event(25), event(35)];
    assert_eq!(names(&mut fleet, "a", 15, shorter), ["event 15", "event 25", "event 35"]);
    assert_eq!(names(&mut fleet, "a", 20, vec![behind(35), event(40)]), ["event 40"]);
}

#[test]
fn a_monitor_that_comes_up_later_takes_the_stop_over() {
    let mut fleet = fleet(&["a", "b"]);
    let state_with = |active| match state(true) {
        StreamLine::State(state) => StreamLine::State(State { monitor_active: Some(active), ..state }),
        other => other,
    };
    let lines = vec![hello(false), state_with(true), alert("oauth_fail", AutoAction::StopService)];
    assert_eq!(names(&mut fleet, "a", 0, lines), ["state", "fired oauth_fail"]);
    let lines = vec![hello(true), state_with(false), alert("oauth_fail", AutoAction::StopService)];
    assert_eq!(names(&mut fleet, "b", 5, lines), ["state", "fired oauth_fail", "stop"]);
}

#[test]
fn one_login_on_several_hosts_is_one_incident_and_stopped_hosts_keep_it_open_until_they_run_again() {
    let mut fleet = fleet(&["t1", "t2", "t3", "t4"]);
    let lines = || vec![hello(false), state(true), alert("oauth_fail", AutoAction::StopService)];
    names(&mut fleet, "t3", 0, vec![hello(false), state(true)]);
    names(&mut fleet, "t4", 0, vec![hello(false), state(true)]);
    names(&mut fleet, "t1", 0, lines());
    assert_eq!(
        names(&mut fleet, "t2", 3, lines()),
        ["state", "fired oauth_fail", "fired account_auth", "stop"]
    );
    for host in ["t1", "t2"] {
        let told = fold(&mut fleet, Input::Stopped(id(host), "oauth_fail".into()), &policy(), at(8));
        assert_eq!(said(&told), ["stopped"]);
        let over = StreamLine::Resolved {
            detector: "oauth_fail".into(),
            identity: "oauth_fail".into(),
            firing_for_s: 3,
        };
        assert_eq!(names(&mut fleet, host, 9, vec![state(false), over]), ["state", "resolved oauth_fail"]);
    }
    assert_eq!(said(&fold(&mut fleet, Input::Tick, &policy(), at(15))), [""; 0]);
    assert_eq!(fleet.auto_stopped().count(), 2);
    assert_eq!(fleet.incidents().count(), 1);
    assert_eq!(names(&mut fleet, "t1", 20, vec![state(true)]), ["resumed", "state"]);
    assert_eq!(names(&mut fleet, "t2", 25, vec![state(true)]), ["resumed", "state", "resolved account_auth"]);
}

#[test]
fn hosts_that_come_back_one_by_one_are_one_incident_to_its_end_whatever_each_still_says_of_the_past() {
    let over = || StreamLine::Resolved {
        detector: "oauth_fail".into(),
        identity: "oauth_fail".into(),
        firing_for_s: 3,
    };
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (order, stale) in orders.into_iter().flat_map(|order| (0_u8..8).map(move |stale| (order, stale))) {
        let hosts = ["t1", "t2", "t3"];
        let mut fleet = fleet(&["t1", "t2", "t3", "a", "b", "c"]);
        let mut told = Vec::new();
        for host in hosts {
            let failing = vec![hello(false), state(true), alert("oauth_fail", AutoAction::StopService)];
            told.extend(names(&mut fleet, host, 0, failing));
            let stopped = fold(&mut fleet, Input::Stopped(id(host), "oauth_fail".into()), &policy(), at(3));
            told.extend(said(&stopped));
            told.extend(names(&mut fleet, host, 4, vec![state(false), over()]));
        }
        for (second, host) in (10..).step_by(5).zip(order) {
            let mut back = vec![hello(false), state(true)];
            if stale & (1 << host) != 0 {
                // The failures of before still stand in the host's window; a good round ends that.
                back.push(alert("oauth_fail", AutoAction::None));
                back.push(over());
            }
            told.extend(names(&mut fleet, hosts[host], second, back));
        }
        let count = |name: &str| told.iter().filter(|told| *told == name).count();
        let incident = (count("fired account_auth"), count("resolved account_auth"));
        assert_eq!(incident, (1, 1), "{order:?} {stale:03b}: {told:?}");
        assert_eq!(fleet.incidents().count(), 0);
    }
}

#[test]
fn a_host_that_stopped_itself_is_known_as_stopped() {
    let mut fleet = fleet(&["a"]);
    let cursor = Cursor::at("events-2026-01.jsonl", 9);
    let event = json!({"event": "monitor_auto_stop_triggered", "detector": "disk_critical"});
    let lines = vec![hello(true), StreamLine::Event { cursor, event }, state(true)];
    assert_eq!(names(&mut fleet, "a", 0, lines), ["event 9", "stopped itself", "resumed", "state"]);
}

#[test]
fn a_reboot_is_told_and_no_first_hello_is_one() {
    let mut fleet = fleet(&["a"]);
    let boot = |id: &str| match hello(true) {
        StreamLine::Hello(hello) => StreamLine::Hello(Hello { boot_id: id.into(), ..hello }),
        other => other,
    };
    assert_eq!(names(&mut fleet, "a", 0, vec![boot("one"), boot("one"), boot("two")]), ["rebooted"]);
}

#[test]
fn a_host_that_sends_garbage_is_named_and_bounded() {
    let mut fleet = fleet(&["a", "b"]);
    let told = fold(&mut fleet, Input::Garbled(id("a"), "<html>".into()), &policy(), at(1));
    assert_eq!(said(&told), ["fired stream_invalid"]);
    names(&mut fleet, "a", 1, vec![hello(true), state(true)]);
    for number in 0..10_000 {
        let line = match alert("hung", AutoAction::None) {
            StreamLine::Alert { alert, .. } => {
                StreamLine::Alert { identity: format!("hung {number}"), alert }
            }
            other => other,
        };
        fold(&mut fleet, Input::Line(id("a"), Box::new(line)), &policy(), at(2));
    }
    assert_eq!(fleet.streams[&id("a")].alerts.len(), MAX_ALERTS);
    assert_eq!(fleet.alerts.on("a", "p").count(), 2, "however many identities, one alert per detector");
    assert_eq!(fleet.alerts.on("b", "p").count(), 0);
    let told = names(&mut fleet, "a", 700, vec![state(true)]);
    assert!(told.contains(&"resolved stream_invalid".to_owned()), "{told:?}");
}

#[test]
fn alerts_that_come_and_go_leave_nothing_behind() {
    let mut fleet = fleet(&["a"]);
    names(&mut fleet, "a", 1, vec![hello(true)]);
    for number in 0..10_000 {
        let StreamLine::Alert { alert, .. } = alert("hung", AutoAction::None) else { unreachable!() };
        let identity = format!("hung {number}");
        let begun = StreamLine::Alert { identity: identity.clone(), alert };
        let ended = StreamLine::Resolved { identity, detector: "hung".into(), firing_for_s: 1 };
        for line in [begun, ended] {
            fold(&mut fleet, Input::Line(id("a"), Box::new(line)), &policy(), at(2));
        }
    }
    let state = &fleet.streams[&id("a")];
    let named = state.naming.as_ref().map(|naming| naming.named.len());
    assert_eq!((state.alerts.len(), named), (0, Some(0)));
}

#[test]
fn one_host_that_asks_for_stops_without_end_leaves_the_others_their_place_on_the_brake() {
    let mut fleet = fleet(&["a", "b", "c", "d"]);
    names(&mut fleet, "a", 0, vec![hello(false)]);
    for second in 0..100 {
        let StreamLine::Alert { alert, .. } = alert("oauth_fail", AutoAction::StopService) else {
            unreachable!()
        };
        let identity = format!("oauth_fail {second}");
        let begun = StreamLine::Alert { identity: identity.clone(), alert };
        let ended = StreamLine::Resolved { identity, detector: "oauth_fail".into(), firing_for_s: 1 };
        let told = names(&mut fleet, "a", second, vec![begun, ended]);
        assert!(!told.contains(&"brake".to_owned()), "{told:?}");
    }
    let lines = vec![hello(false), alert("oauth_fail", AutoAction::StopService)];
    let told = names(&mut fleet, "b", 101, lines);
    assert!(told.contains(&"stop".to_owned()), "{told:?}");
}

#[test]
fn a_host_takes_one_place_on_the_brake_however_many_projects_it_has() {
    let streams = [("a", "p"), ("a", "q"), ("b", "p")]
        .map(|(host, project)| StreamId { host: host.into(), project: project.into() });
    let beginning =
        Beginning { streams: streams.iter().map(|id| (id.clone(), None)).collect(), ..Beginning::default() };
    let mut fleet = Fleet::new(beginning, &policy(), at(0));
    let told = streams.map(|id| {
        let lines = [hello(false), alert("oauth_fail", AutoAction::StopService)];
        let lines = lines.into_iter().map(|line| Input::Line(id.clone(), Box::new(line)));
        let inputs = [Input::Connected(id.clone())].into_iter().chain(lines);
        inputs.flat_map(|input| said(&fold(&mut fleet, input, &policy(), at(1)))).collect::<Vec<_>>()
    });
    assert!(
        told[0].contains(&"stop".into()) && told[1].contains(&"stop".into()),
        "one of two hosts: {told:?}"
    );
    assert!(told[2].contains(&"brake".into()), "half of two hosts is one: {told:?}");
}

#[test]
fn a_clock_that_is_off_is_named_after_a_minute_and_forgiven_when_it_is_set() {
    let mut fleet = fleet(&["a"]);
    let beat = |at: i64| StreamLine::Heartbeat { at: stamp(Timestamp::from_second(at).unwrap()) };
    names(&mut fleet, "a", 0, vec![hello(true), state(true), beat(4000)]);
    let tick = |fleet: &mut Fleet, second| said(&fold(fleet, Input::Tick, &policy(), at(second)));
    assert_eq!(tick(&mut fleet, 3), [""; 0]);
    names(&mut fleet, "a", 60, vec![beat(4060)]);
    assert_eq!(tick(&mut fleet, 70), ["fired clock_skew"]);
    names(&mut fleet, "a", 80, vec![beat(81)]);
    assert_eq!(tick(&mut fleet, 82), ["resolved clock_skew"]);
}
