//! Cables are cut while the fleet is watched: it is said in time, and no event is lost or doubled.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::fleet::Running;
use agent_runner_tests::lab::Host;
use agent_runner_tests::wait;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::deployed::{
    ROUNDS, dead_connections_are_noticed_soon, deploy_changes, deployed, fleet_of, is, next_good_round,
};

/// As the inventory says; the rest is for a busy machine.
const STALE_AFTER: Duration = Duration::from_secs(30);
const MARGIN: Duration = Duration::from_secs(15);

fn is_about(line: &Value, host: &Host, kind: &str) -> bool {
    line["host"] == host.name() && line["type"] == kind
}

/// The events of a host that were told, in the order they were told in.
fn told(monitor: &Running, host: &Host) -> Vec<Value> {
    let lines = monitor.lines();
    let events = lines.iter().filter(|line| is_about(line, host, "event"));
    events.map(|line| line["event"].clone()).collect()
}

fn links(monitor: &Running, host: &Host) -> usize {
    monitor.lines().iter().filter(|line| is_about(line, host, "link_up")).count()
}

fn is_silence(line: &Value, host: &Host) -> bool {
    let detector = &line["alert"]["detector"];
    is_about(line, host, "link_down")
        || is_about(line, host, "alert") && (detector == "host_stale" || detector == "host_unreachable")
}

/// Insists that what was told is the log from the place on at which watching began, between two looks at it.
fn each_event_was_told_once(monitor: &Running, host: &Host, began: RangeInclusive<usize>) {
    let log = host.events().unwrap();
    let all = wait::until(ROUNDS, || told(monitor, host).last() == log.last());
    let told = told(monitor, host);
    assert!(all, "{}: {:?} is not the log's last", host.name(), told.last());
    let first = log.len().checked_sub(told.len()).unwrap();
    assert!(began.contains(&first), "{}: {first} is not in {began:?}", host.name());
    assert_eq!(told, log[first..], "{}", host.name());
}

#[test]
fn a_cut_cable_is_reported_in_time_and_afterwards_no_event_is_lost_or_doubled() {
    let Some((lab, controller)) = fleet_of(3) else { return };
    let [untouched, busy, quiet] = lab.hosts() else { panic!("three hosts") };
    // Its first event under watch comes when the cable is cut already.
    quiet.set_mode(&[Mode::Sleep(25), Mode::Sleep(1)]).unwrap();
    deploy_changes(&controller, 3);
    quiet.wait_for_event(ROUNDS, |event| is(event, "agent_spawn")).unwrap();
    let before: Vec<usize> = lab.hosts().iter().map(|host| host.events().unwrap().len()).collect();
    let monitor = controller.start(&["monitor", "--json"]).unwrap();
    for host in lab.hosts() {
        monitor.wait_for(ROUNDS, |line| is_about(line, host, "state")).unwrap();
    }
    let after: Vec<usize> = lab.hosts().iter().map(|host| host.events().unwrap().len()).collect();
    monitor.wait_for(ROUNDS, |line| is_about(line, busy, "event")).unwrap();
    assert_eq!(told(&monitor, quiet).len(), 0, "the quiet host is in its long round");

    let cut = Instant::now();
    [busy, quiet].iter().for_each(|host| host.cut_cable().unwrap());
    for host in [busy, quiet] {
        monitor.wait_for(STALE_AFTER + MARGIN, |line| is_silence(line, host)).unwrap();
    }
    assert!(cut.elapsed() <= STALE_AFTER + MARGIN, "{:?}", cut.elapsed());
    quiet.wait_for_event(ROUNDS, |event| is(event, "round_end")).unwrap();
    monitor.wait_for(ROUNDS, |line| is_about(line, busy, "link_down")).unwrap();
    monitor.wait_for(ROUNDS, |line| is_about(line, quiet, "link_down")).unwrap();
    [busy, quiet].iter().for_each(|host| host.plug_cable().unwrap());
    for host in [busy, quiet] {
        assert!(wait::until(ROUNDS, || links(&monitor, host) == 2), "{:?}", monitor.lines());
    }

    // With the Loops stopped the logs stand still.
    for host in lab.hosts() {
        host.says("systemctl --user stop agent-runner@demo.service").unwrap();
    }
    for (host, (before, after)) in lab.hosts().iter().zip(before.into_iter().zip(after)) {
        each_event_was_told_once(&monitor, host, before..=after);
    }
    let disturbed = monitor.lines().iter().filter(|line| is_silence(line, untouched)).count();
    assert_eq!(disturbed, 0, "the other host's stream stood all the time");
    let resolved = |line: &Value| is_about(line, busy, "resolved");
    monitor.wait_for(ROUNDS, resolved).unwrap();
    monitor.signal(Signal::SIGINT);
    let output = monitor.wait(Duration::from_secs(30)).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
}

#[test]
fn a_power_cut_under_watch_loses_and_doubles_no_event() {
    let Some((lab, controller)) = deployed(1) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    dead_connections_are_noticed_soon(&controller);
    let before = host.events().unwrap().len();
    let monitor = controller.start(&["monitor", "--json"]).unwrap();
    monitor.wait_for(ROUNDS, |line| is_about(line, host, "state")).unwrap();
    let after = host.events().unwrap().len();
    monitor.wait_for(ROUNDS, |line| is(&line["event"], "round_end")).unwrap();
    host.pull_plug().unwrap();
    monitor.wait_for(ROUNDS, |line| is_about(line, host, "link_down")).unwrap();
    host.boot().unwrap();
    assert!(wait::until(ROUNDS, || links(&monitor, host) == 2), "{:?}", monitor.lines());
    next_good_round(host);
    host.says("systemctl --user stop agent-runner@demo.service").unwrap();
    each_event_was_told_once(&monitor, host, before..=after);
}
