//! From nothing to a supervised project on every host; and what a second deploy does.

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::fleet::{Controller, PROMPT};
use agent_runner_tests::lab::{Host, Lab};
use agent_runner_tests::wait;
use serde_json::Value;

use super::deployed::{
    ROUNDS, active, deploy_changes, deployed, fleet_of, is, next_good_round, result_of, statuses, text,
};

/// Everything that the login may write, with inode, size, time of the last change and mode of each file and folder: home,
/// temporary folders, the user's services at run time. Left out is what is written all the time without a deploy: the
/// project's own logs and repository, its agent's state, and what systemd itself keeps.
fn written(host: &Host) -> String {
    let own = "-path /home/ops/.agent-runner/demo/logs -o -path /home/ops/demo/.git -o -path /home/ops/demo/work.md \
               -o -path '/tmp/systemd-private-*' -o -path '/var/tmp/systemd-private-*'";
    let places = "/home/ops /tmp /var/tmp /dev/shm /run/user/1000/systemd";
    let all = format!(
        "find {places} \\( {own} \\) -prune -o -not -path /home/ops/demo -printf '%p %i %s %T@ %C@ %m %l\\n' | sort"
    );
    host.root(&all).unwrap().checked().unwrap()
}

#[test]
fn a_deploy_brings_four_hosts_to_work_and_a_second_one_changes_nothing() {
    let Some((lab, controller)) = fleet_of(4) else { return };
    // Only what a deploy itself switches on counts.
    deploy_changes(&controller, 4);
    for host in lab.hosts() {
        assert_eq!(host.unit_state().unwrap(), "active", "{}", host.name());
        assert_eq!(host.says("loginctl show-user ops --property Linger --value").unwrap(), "yes");
        let enabled = host.says("systemctl --user is-enabled agent-runner@demo.service").unwrap();
        assert_eq!(enabled, "enabled");
    }
    assert_eq!(active(&controller, &lab).len(), 4);
    lab.hosts().iter().for_each(|host| assert!(next_good_round(host) >= 1));
    units_are_accepted_by_systemd(&lab.hosts()[0]);

    let before: Vec<(String, String)> =
        lab.hosts().iter().map(|host| (written(host), host.main_pid().unwrap())).collect();
    let again = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!(again.code(), 0, "{}", again.stderr);
    assert_eq!(statuses(&again), ["ok"; 4], "{}", again.stdout);
    assert!(again.stderr.contains("4 hosts: ok 4  changed 0"), "{}", again.stderr);
    for (host, before) in lab.hosts().iter().zip(before) {
        assert_eq!((written(host), host.main_pid().unwrap()), before, "{}", host.name());
    }
    let plan = controller.run(&["plan", "--exit-code"]).unwrap();
    assert_eq!(plan.code(), 0, "{}", plan.stderr);
}

fn units_are_accepted_by_systemd(host: &Host) {
    let units = "/home/ops/.config/systemd/user/agent-runner@demo.service";
    let output = host.user_command(&format!("systemd-analyze verify --user {units}")).unwrap();
    let said = format!("{}{}", output.stdout, output.stderr);
    assert_eq!((output.code(), said.trim()), (0, ""));
}

#[test]
fn the_monitors_unit_is_accepted_by_systemd_and_runs_next_to_the_loop() {
    let Some((lab, controller)) = fleet_of(1) else { return };
    controller.replace("fleet.toml", "monitor = false", "monitor = true").unwrap();
    deploy_changes(&controller, 1);
    let [host] = lab.hosts() else { panic!("one host") };
    units_are_accepted_by_systemd(host);
    let listed = host.says("ls /home/ops/.config/systemd/user/*.service").unwrap();
    let output = host.user_command(&format!("systemd-analyze verify --user {}", listed.replace('\n', " ")));
    let output = output.unwrap();
    assert_eq!((output.code(), output.stderr.trim()), (0, ""), "{listed}");
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let monitors =
        host.says("systemctl --user list-units --state=active --plain --no-legend 'agent-runner*'");
    assert_eq!(monitors.unwrap().lines().count(), 2);
}

#[test]
fn a_changed_prompt_alone_is_pushed_and_the_round_in_progress_goes_on_to_its_end() {
    let Some((lab, controller)) = fleet_of(1) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    host.set_mode(&[Mode::Sleep(8), Mode::Sleep(1)]).unwrap();
    deploy_changes(&controller, 1);
    host.wait_for_event(ROUNDS, |event| is(event, "agent_spawn")).unwrap();
    let (loop_before, binary) =
        (host.main_pid().unwrap(), host.says("readlink ~/.local/share/agent-runner/current"));
    controller.write("prompts/main.md", &format!("{PROMPT}Host: {{{{ host.name }}}}\n")).unwrap();
    let output = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    let lines = output.json_lines().unwrap();
    let changes = lines[0]["changes"].as_array().unwrap();
    let names: Vec<&str> = changes.iter().filter_map(|change| change["name"].as_str()).collect();
    assert_eq!(names, ["/home/ops/demo/prompts/main.md"], "{}", output.stdout);
    let own = format!("Host: {}", host.name());
    assert!(host.says("cat demo/prompts/main.md").unwrap().ends_with(&own));
    let first = |event: &Value| is(event, "agent_exit") && event["round_num"] == 1;
    let exit = host.wait_for_event(ROUNDS, first).unwrap();
    assert_eq!(exit["exit_cause"], "clean", "{exit}");
    assert!(exit["duration_s"].as_f64().unwrap() >= 8.0, "{exit}");
    assert!(next_good_round(host) > 1);
    assert_eq!(host.says("cat demo/.git/fake-agent/prompt | tail -1").unwrap(), own);
    assert_eq!(host.main_pid().unwrap(), loop_before);
    assert_eq!(host.says("readlink ~/.local/share/agent-runner/current").unwrap(), binary.unwrap());
}

/// A round of 40 s is at work, and a release that has to wait for it.
fn in_a_long_round(rules: &str) -> Option<(Lab, Controller)> {
    let (lab, controller) = deployed(1)?;
    let [host] = lab.hosts() else { panic!("one host") };
    host.set_mode(&[Mode::Sleep(40), Mode::Sleep(1)]).unwrap();
    let sleeps = || host.says("pgrep --full --exact 'sleep 40'").is_ok();
    assert!(wait::until(ROUNDS, sleeps), "{}", host.newest(20));
    controller.replace("fleet.toml", "confirm_s = 20", &format!("confirm_s = 6\n{rules}")).unwrap();
    controller.replace("agent-runner.toml", "restart_delay_s = 1", "restart_delay_s = 2").unwrap();
    Some((lab, controller))
}

#[test]
fn a_round_that_outlasts_its_drain_is_ended_gracefully_and_the_release_confirmed() {
    let Some((lab, controller)) = in_a_long_round("drain = 3") else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    deploy_changes(&controller, 1);
    let exits = host.events().unwrap();
    let interrupted: Vec<_> =
        exits.iter().filter(|event| is(event, "agent_exit") && event["exit_cause"] != "clean").collect();
    let [exit] = interrupted[..] else { panic!("{interrupted:?}") };
    let seconds = exit["duration_s"].as_f64().unwrap();
    assert!((3.0..40.0).contains(&seconds), "{exit}");
    next_good_round(host);
}

#[test]
fn a_deploy_that_takes_longer_than_it_may_ends_and_the_host_puts_the_old_release_back() {
    let Some((lab, controller)) = in_a_long_round("drain = \"round\"") else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    let output = controller.run(&["deploy", "--json", "--timeout", "8"]).unwrap();
    assert_eq!(
        (output.code(), statuses(&output)),
        (2 | 16, vec!["reverted".to_owned()]),
        "{}",
        output.stdout
    );
    let result = result_of(&output, host);
    assert_eq!(result["message"], "not confirmed: no result within 8 s", "{result}");
    assert!(text(&result["hint"]).contains("puts its previous release back within 6 s"), "{result}");
    let back = || {
        host.says("grep restart_delay_s demo/agent-runner.toml").is_ok_and(|line| line.ends_with("= 1"))
            && host.says("test -e .local/state/agent-runner/pending.json").is_err()
    };
    assert!(wait::until(ROUNDS, back), "{}", host.newest(20));
    // The round was not cut short for a release that did not come.
    let long = |event: &Value| is(event, "agent_exit") && event["duration_s"].as_f64() > Some(39.0);
    assert_eq!(host.wait_for_event(ROUNDS, long).unwrap()["exit_cause"], "clean");
    next_good_round(host);
}

#[test]
fn a_release_that_cannot_work_is_refused_by_the_host_and_the_old_one_goes_on() {
    let Some((lab, controller)) = fleet_of(1) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    deploy_changes(&controller, 1);
    next_good_round(host);
    let (before, main) = (written(host), host.main_pid().unwrap());
    controller.write("prompts/main.md", "Too short.\n").unwrap();
    let output = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!((output.code(), statuses(&output)), (2, vec!["failed".to_owned()]), "{}", output.stdout);
    let result = result_of(&output, host);
    assert!(text(&result["message"]).contains("fewer than 500"), "{result}");
    assert!(text(&result["hint"]).contains("at least 500"), "{result}");
    assert_eq!((written(host), host.main_pid().unwrap()), (before, main));
    next_good_round(host);
}
