//! Power cuts, reboots and killed processes: the work goes on, and nothing of the past is left running.

use std::time::Duration;

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::lab::Host;
use agent_runner_tests::wait;
use serde_json::Value;

use super::deployed::{ROUNDS, deployed, is, next_good_round};

fn started(host: &Host) -> Vec<i64> {
    let events = host.events().unwrap();
    let starts = events.iter().filter(|event| is(event, "round_start"));
    starts.map(|event| event["round_num"].as_i64().unwrap()).collect()
}

/// Every state file that there is parses.
fn state_files_parse(host: &Host) {
    let names = host.says("cd ~/.agent-runner/demo/logs && ls *.json serve.pid").unwrap();
    assert!(names.contains("status.json") && names.contains("serve.pid"), "{names}");
    for name in names.lines() {
        let text = host.says(&format!("cat ~/.agent-runner/demo/logs/{name}")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
    }
}

/// Waits for a round whose agent hangs and ignores SIGTERM, lets later ones work, and returns its number.
fn hanging_round(host: &Host) -> i64 {
    host.set_mode(&[Mode::IgnoreTerm, Mode::Sleep(1)]).unwrap();
    assert!(wait::until(ROUNDS, || agents(host) > 0), "{}", host.newest(20));
    *started(host).last().unwrap()
}

/// How many processes of a hanging agent there are; the brackets keep the asking shell out.
fn agents(host: &Host) -> usize {
    host.user_command("pgrep --full '[s]leep 86400'").unwrap().stdout.lines().count()
}

/// The next round has the next number, and when it starts nothing of the hanging agent runs.
fn the_next_round_follows(host: &Host, hung: i64) {
    let next = |event: &Value| is(event, "agent_exit") && event["round_num"] == hung + 1;
    let exit = host.wait_for_event(ROUNDS, next).unwrap();
    assert_eq!(exit["exit_cause"], "clean", "{exit}");
    assert_eq!(agents(host), 0, "processes of the killed round's agent are left");
    let started = started(host);
    let expected: Vec<i64> = (1..).take(started.len()).collect();
    assert_eq!(started, expected);
    state_files_parse(host);
    assert_eq!(host.unit_state().unwrap(), "active");
}

#[test]
fn a_killed_loop_is_restarted_without_its_agent_and_counts_on() {
    let Some((lab, _controller)) = deployed(1) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    next_good_round(host);
    let hung = hanging_round(host);
    let killed = host.main_pid().unwrap();
    host.says(&format!("kill -9 {killed}")).unwrap();
    let other = || host.main_pid().is_ok_and(|pid| pid != killed && pid != "0");
    assert!(wait::until(ROUNDS, other), "the unit is restarted");
    the_next_round_follows(host, hung);
}

#[test]
fn a_killed_round_takes_its_agent_with_it_and_the_loop_counts_on() {
    let Some((lab, _controller)) = deployed(1) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    next_good_round(host);
    let hung = hanging_round(host);
    let main = host.main_pid().unwrap();
    let holder = host.says("cat ~/.agent-runner/demo/logs/agent-runner.lock.holder").unwrap();
    let holder: Value = serde_json::from_str(&holder).unwrap();
    host.says(&format!("kill -9 {}", holder["pid"])).unwrap();
    the_next_round_follows(host, hung);
    assert_eq!(host.main_pid().unwrap(), main, "the Loop goes on");
}

#[test]
fn after_a_reboot_the_service_comes_back_by_itself_and_counts_on() {
    let Some((lab, _controller)) = deployed(1) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    let before = next_good_round(host);
    host.reboot().unwrap();
    // Nobody has logged in since: what runs, runs because the user lingers.
    let after = next_good_round(host);
    assert_eq!(host.root("loginctl list-sessions --no-legend").unwrap().checked().unwrap(), "");
    assert!(after > before, "{after} > {before}");
    let started = started(host);
    assert_eq!(started, (1..).take(started.len()).collect::<Vec<i64>>());
    assert_eq!(host.unit_state().unwrap(), "active");
}

#[test]
fn a_power_cut_in_a_round_costs_that_round_only() {
    let Some((lab, _controller)) = deployed(1) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    next_good_round(host);
    let hung = hanging_round(host);
    host.pull_plug().unwrap();
    host.boot().unwrap();
    the_next_round_follows(host, hung);
    assert!(wait::until(Duration::from_secs(30), || host.says("git -C demo status --porcelain").is_ok()));
}
