//! From nothing to a supervised project on every host; and what a second deploy does.

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::fleet::PROMPT;
use agent_runner_tests::lab::Host;

use super::deployed::{ROUNDS, active, deploy_changes, fleet_of, is, next_good_round, statuses};

/// Everything a deploy writes, with inode, size and time of the last change of each file and folder. What the
/// running project itself writes is elsewhere.
fn written(host: &Host) -> String {
    let places = "/home/ops/.local/bin /home/ops/.local/share /home/ops/.local/state /home/ops/.config \
                  /home/ops/demo/agent-runner.toml /home/ops/demo/prompts";
    host.says(&format!("find {places} -printf '%p %i %s %T@ %C@ %l\\n' | sort")).unwrap()
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
    assert_eq!(active(&controller), [true; 4]);
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
    let first = |event: &serde_json::Value| is(event, "agent_exit") && event["round_num"] == 1;
    let exit = host.wait_for_event(ROUNDS, first).unwrap();
    assert_eq!(exit["exit_cause"], "clean", "{exit}");
    assert!(exit["duration_s"].as_f64().unwrap() >= 8.0, "{exit}");
    assert!(next_good_round(host) > 1);
    assert_eq!(host.says("cat demo/.git/fake-agent/prompt | tail -1").unwrap(), own);
    assert_eq!(host.main_pid().unwrap(), loop_before);
    assert_eq!(host.says("readlink ~/.local/share/agent-runner/current").unwrap(), binary.unwrap());
}
