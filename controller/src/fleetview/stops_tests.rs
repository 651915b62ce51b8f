//! Stops that fail, and stops that an earlier run wanted.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it looks for; the rest is everything else"
)]

use agent_runner::witness::alert::AutoAction;
use agent_runner::witness::stream::{State, StreamLine};

use super::alert::AlertState;
use super::beginning::Beginning;
use super::fixture::{at, id};
use super::fold::{Input, STOP_AGAIN, STOP_AGAIN_AT_LAST, fold};
use super::fold_tests::{alert, fleet, hello, names, policy, said, state};
use super::life::Alerts;
use super::state::Fleet;
use super::told::Told;

fn failed(why: &str) -> Input {
    Input::StopFailed(id("a"), "oauth_fail".into(), why.into())
}

/// The host has spoken lately, and a second passes.
fn beat(fleet: &mut Fleet, second: u64) -> Vec<Told> {
    let at_second = agent_runner::store::time::stamp(at(second).wall);
    let line = StreamLine::Heartbeat { at: at_second };
    let mut told = fold(fleet, Input::Line(id("a"), Box::new(line)), &policy(), at(second));
    told.extend(fold(fleet, Input::Tick, &policy(), at(second)));
    told
}

/// A fleet of one host whose alert asks for a stop, which has just been asked for.
fn asked() -> Fleet {
    let mut fleet = fleet(&["a"]);
    let lines = vec![hello(false), state(true), alert("oauth_fail", AutoAction::StopService)];
    assert_eq!(names(&mut fleet, "a", 0, lines), ["state", "fired oauth_fail", "stop"]);
    fleet
}

#[test]
fn a_stop_that_fails_is_tried_again_after_ever_longer_pauses_told_once_and_an_alert_while_it_fails() {
    let mut fleet = asked();
    assert_eq!(said(&fold(&mut fleet, failed("refused"), &policy(), at(2))), ["stop failed"]);
    let (mut attempts, mut told, mut last) = (Vec::new(), Vec::new(), 2);
    for second in 3..4000 {
        let seen = said(&beat(&mut fleet, second));
        if seen.contains(&"stop".to_owned()) {
            attempts.push(second - last);
            last = second;
            let why = if attempts.len() < 9 { "refused" } else { "refused otherwise" };
            told.extend(said(&fold(&mut fleet, failed(why), &policy(), at(second))));
        }
        told.extend(seen.into_iter().filter(|one| one != "stop"));
    }
    let (first, most) = (STOP_AGAIN.as_secs(), STOP_AGAIN_AT_LAST.as_secs());
    assert_eq!(attempts[..7], [first, 30, 60, 120, 240, 480, most]);
    assert!(attempts[7..].iter().all(|pause| *pause == most), "{attempts:?}");
    assert_eq!(told, ["fired auto_stop_failed", "stop failed"], "the alert once, the new reason once");

    let done = fold(&mut fleet, Input::Stopped(id("a"), "oauth_fail".into()), &policy(), at(4000));
    assert_eq!(said(&done), ["stopped", "resolved auto_stop_failed"]);
    // An answer that was overtaken brings nothing back.
    assert_eq!(said(&fold(&mut fleet, failed("late"), &policy(), at(4001))), [""; 0]);
}

#[test]
fn a_stop_that_failed_once_is_no_alert() {
    let mut fleet = asked();
    fold(&mut fleet, failed("a connection broke"), &policy(), at(2));
    let told: Vec<String> = (3..=17).flat_map(|second| said(&beat(&mut fleet, second))).collect();
    assert_eq!(told, ["stop"]);
    fold(&mut fleet, Input::Stopped(id("a"), "oauth_fail".into()), &policy(), at(18));
    let told: Vec<String> = (19..100).flat_map(|second| said(&beat(&mut fleet, second))).collect();
    assert_eq!(told, [""; 0]);
}

#[test]
fn a_service_that_drains_or_whose_host_takes_over_ends_the_failure() {
    for drains in [true, false] {
        let mut fleet = asked();
        fold(&mut fleet, failed("refused"), &policy(), at(2));
        let told: Vec<String> = (3..40).flat_map(|second| said(&beat(&mut fleet, second))).collect();
        assert!(told.contains(&"fired auto_stop_failed".to_owned()), "{told:?}");
        let told = if drains {
            fold(&mut fleet, Input::Draining(id("a"), "oauth_fail".into()), &policy(), at(40))
        } else {
            let active = match state(true) {
                StreamLine::State(state) => StreamLine::State(State { monitor_active: Some(true), ..state }),
                other => other,
            };
            fold(&mut fleet, Input::Line(id("a"), Box::new(active)), &policy(), at(40))
        };
        assert!(said(&told).contains(&"resolved auto_stop_failed".to_owned()), "{drains}: {told:?}");
        // Who drains is asked again as before, a host with a monitor never.
        let told: Vec<String> = (41..60).flat_map(|second| said(&beat(&mut fleet, second))).collect();
        assert_eq!(told.contains(&"stop".to_owned()), drains, "{told:?}");
    }
}

/// Begins anew with what an earlier run left open.
fn again(hosts: &[&str], earlier: &Fleet, second: u64) -> Fleet {
    let open: Vec<AlertState> = earlier.alerts.open().cloned().collect();
    let doc = serde_json::to_string(&open).unwrap();
    let open: Vec<AlertState> = serde_json::from_str(&doc).unwrap();
    let beginning = Beginning {
        hosts: (*earlier.hosts).clone(),
        streams: hosts.iter().map(|host| (id(host), None)).collect(),
        alerts: Alerts::restored(open),
        ..Beginning::default()
    };
    let mut fleet = Fleet::new(beginning, &policy(), at(second));
    for host in hosts {
        fold(&mut fleet, Input::Connected(id(host)), &policy(), at(second));
    }
    fleet
}

/// Folds what each host says, then lets the time pass in which it may name its alerts.
fn spoken(fleet: &mut Fleet, hosts: &[&str], from: u64, lines: &[StreamLine]) -> Vec<String> {
    let mut told = Vec::new();
    for host in hosts {
        told.extend(names(fleet, host, from, lines.to_vec()));
    }
    told.extend(said(&fold(fleet, Input::Tick, &policy(), at(from + 6))));
    told
}

#[test]
fn what_the_brake_held_back_stays_held_back_over_a_restart_until_its_alert_is_over() {
    let hosts = ["a", "b", "c"];
    let failing = [hello(false), state(true), alert("oauth_fail", AutoAction::StopService)];
    let mut before = fleet(&hosts);
    let told = spoken(&mut before, &hosts, 0, &failing);
    assert_eq!(told.iter().filter(|one| *one == "stop").count(), 1, "one of three: {told:?}");
    assert_eq!(told.iter().filter(|one| *one == "brake").count(), 2, "{told:?}");

    // Long after the brake's window, b is not there at first.
    let mut after = again(&hosts, &before, 10_000);
    assert_eq!(spoken(&mut after, &["c"], 10_000, &failing), ["state"]);
    let silent: Vec<String> = (10_007..10_060)
        .flat_map(|second| said(&fold(&mut after, Input::Tick, &policy(), at(second))))
        .filter(|one| one.contains("brake") || one == "stop")
        .collect();
    assert_eq!(silent, [""; 0], "the alert of what is still held back stands");
    let told = spoken(&mut after, &["b"], 10_060, &failing);
    assert!(!told.contains(&"stop".to_owned()), "a person decides: {told:?}");

    // Once the host itself says that it is over, the next one is the brake's to judge anew.
    let over = StreamLine::Resolved {
        detector: "oauth_fail".into(),
        identity: "oauth_fail".into(),
        firing_for_s: 3,
    };
    names(&mut after, "b", 10_070, vec![over]);
    let told = names(&mut after, "b", 10_080, vec![alert("oauth_fail", AutoAction::StopService)]);
    assert!(told.contains(&"stop".to_owned()), "{told:?}");
}

#[test]
fn a_stop_that_failed_before_a_restart_is_tried_at_once_and_neither_ended_nor_told_again() {
    let mut before = asked();
    fold(&mut before, failed("refused"), &policy(), at(2));
    for second in 3..40 {
        beat(&mut before, second);
    }
    let mut after = again(&["a"], &before, 50);
    let lines = [hello(false), state(true), alert("oauth_fail", AutoAction::StopService)];
    assert_eq!(spoken(&mut after, &["a"], 50, &lines), ["state", "stop"]);
    assert_eq!(said(&fold(&mut after, failed("refused"), &policy(), at(57))), [""; 0]);
    assert_eq!(said(&beat(&mut after, 58)), [""; 0]);
    let done = fold(&mut after, Input::Stopped(id("a"), "oauth_fail".into()), &policy(), at(59));
    assert_eq!(said(&done), ["stopped", "resolved auto_stop_failed"]);
}
