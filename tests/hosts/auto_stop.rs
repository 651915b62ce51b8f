//! One host's login expires: that host is stopped, and no other.

use std::time::Duration;

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::fleet::{Controller, Running};
use agent_runner_tests::lab::{Host, Lab};
use agent_runner_tests::wait;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::deployed::{ROUNDS, active, deploy_changes, deployed, ended_well, fleet_of, is, next_good_round};

/// Lets the login of the third host expire while everything is watched, and returns what `monitor --json` said.
fn login_expires(lab: &Lab, controller: &Controller, is_stopped: impl Fn(&Host) -> bool) -> Vec<Value> {
    let victim = &lab.hosts()[2];
    let monitor = controller.start(&["monitor", "--json"]).unwrap();
    for host in lab.hosts() {
        let works = |line: &Value| of(line, host) && ended_well(&line["event"]);
        monitor.wait_for(ROUNDS, works).unwrap();
    }
    victim.set_mode(&[Mode::Auth]).unwrap();
    monitor.wait_for(ROUNDS, |line| of(line, victim) && is_oauth_alert(line)).unwrap();
    assert!(wait::until(ROUNDS, || is_stopped(victim)), "{}\n{:?}", victim.newest(30), monitor.lines());
    let others: Vec<&Host> = lab.hosts().iter().filter(|host| host.name() != victim.name()).collect();
    let names: Vec<&str> = others.iter().map(|host| host.name()).collect();
    assert_eq!(active(controller, lab), names);
    assert_eq!(victim.unit_state().unwrap(), "inactive");
    for host in others {
        assert_eq!(host.unit_state().unwrap(), "active", "{}", host.name());
        next_good_round(host);
    }
    ended(monitor)
}

fn ended(monitor: Running) -> Vec<Value> {
    let lines = monitor.lines();
    monitor.signal(Signal::SIGINT);
    let output = monitor.wait(Duration::from_secs(30)).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    lines
}

fn of(line: &Value, host: &Host) -> bool {
    line["host"] == host.name() && line["project"] == "demo"
}

fn is_oauth_alert(line: &Value) -> bool {
    line["type"] == "alert" && line["alert"]["detector"] == "oauth_fail"
}

/// The hosts that a kind of line is about, each once.
fn hosts_of(lines: &[Value], wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    let mut hosts: Vec<String> =
        lines.iter().filter(|line| wanted(line)).map(|line| line["host"].to_string()).collect();
    hosts.dedup();
    hosts
}

#[test]
fn the_hosts_own_monitor_stops_it_and_the_controller_only_looks_on() {
    let Some((lab, controller)) = fleet_of(4) else { return };
    controller.replace("fleet.toml", "monitor = false", "monitor = true").unwrap();
    deploy_changes(&controller, 4);
    let stopped_itself = |host: &Host| {
        let triggered = |event: &Value| is(event, "monitor_auto_stop_triggered");
        host.events().is_ok_and(|events| events.iter().any(triggered))
    };
    let lines = login_expires(&lab, &controller, stopped_itself);
    let victim = [format!("{:?}", lab.hosts()[2].name())];
    assert_eq!(hosts_of(&lines, is_oauth_alert), victim);
    assert_eq!(hosts_of(&lines, |line| line["type"] == "stop_wanted"), [""; 0]);
    assert_eq!(
        hosts_of(&lines, |line| is(&line["event"], "monitor_auto_stop_triggered")),
        victim,
        "the host's stop is in the stream"
    );
}

#[test]
fn where_no_monitor_runs_on_the_hosts_the_controller_stops_exactly_one() {
    let Some((lab, controller)) = deployed(4) else { return };
    let lines = login_expires(&lab, &controller, |host| host.unit_state().unwrap() == "inactive");
    let victim = [format!("{:?}", lab.hosts()[2].name())];
    assert_eq!(hosts_of(&lines, is_oauth_alert), victim);
    let wanted = |line: &Value| line["type"] == "stop_wanted" && line["detector"] == "oauth_fail";
    assert_eq!(hosts_of(&lines, wanted), victim);
    assert_eq!(lines.iter().filter(|line| line["type"] == "stop_failed").count(), 0);
}
