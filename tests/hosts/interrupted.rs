//! The controller is killed in the middle of a deploy: every host runs one release or the other, whole, and the
//! next deploy succeeds.

use std::time::Duration;

use agent_runner_tests::fleet::{Controller, PROMPT};
use agent_runner_tests::lab::Host;
use agent_runner_tests::wait;
use nix::sys::signal::Signal;

use super::deployed::{
    ROUNDS, active, dead_connections_are_noticed_soon, deploy_changes, fleet_of, next_good_round, statuses,
};

/// Deploys to one host and kills the controller as soon as a command succeeds there.
fn killed_when(controller: &Controller, host: &Host, sign: &str) {
    let deploy = controller.start(&["deploy", "--json", "--limit", host.name()]).unwrap();
    let seen = wait::until(ROUNDS, || host.user_command(sign).is_ok_and(|output| output.success()));
    assert!(seen, "{}: {sign}", host.name());
    deploy.signal(Signal::SIGKILL);
    let output = deploy.wait(Duration::from_secs(30)).unwrap();
    assert_eq!(output.code(), 137, "{sign}: it had ended by itself: {}", output.stdout);
}

/// Waits until nothing of a switch is pending any more, and insists that the files are those of one release.
fn settles_on_one_release(host: &Host) -> String {
    let settled = || {
        // The brackets keep the asking shell out.
        let applies = "pgrep --full 'runner --json [a]pply|apply --guar[d]'";
        let pending = format!("test -e .local/state/agent-runner/pending.json || {applies}");
        host.user_command(&pending).is_ok_and(|output| !output.success())
    };
    assert!(wait::until(ROUNDS, settled), "{}: {}", host.name(), host.newest(20));
    let release = |file: &str| {
        let output = host.user_command(&format!("grep --only-matching 'release [0-9]' demo/{file}")).unwrap();
        output.stdout.trim().to_owned()
    };
    let (config, prompt) = (release("agent-runner.toml"), release("prompts/main.md"));
    assert_eq!(config, prompt, "{}", host.name());
    let staged =
        host.says("find . -name '*agent-runner-staged*' -o -name '*.new' | grep -v .git/ || true").unwrap();
    assert_eq!(staged, "", "{}", host.name());
    config
}

fn loops(host: &Host) -> usize {
    host.user_command("pgrep --full '[a]gent-runner serve'").unwrap().stdout.lines().count()
}

fn write_release(controller: &Controller, number: u32) {
    let config = std::fs::read_to_string(controller.home().join("agent-runner.toml")).unwrap();
    let config = config.split("# release").next().unwrap().to_owned();
    controller.write("agent-runner.toml", &format!("{config}# release {number}\n")).unwrap();
    controller.write("prompts/main.md", &format!("{PROMPT}This is release {number}.\n")).unwrap();
}

#[test]
fn a_killed_controller_leaves_one_release_and_the_next_deploy_succeeds() {
    let Some((lab, controller)) = fleet_of(4) else { return };
    let [fresh, recorded, switched, confirming] = lab.hosts() else { panic!("four hosts") };
    // An unconfirmed switch is put back after it.
    controller.replace("fleet.toml", "confirm_s = 20", "confirm_s = 8").unwrap();
    write_release(&controller, 1);
    let output = controller.run(&["deploy", "--json", "--exclude", fresh.name()]).unwrap();
    assert_eq!(statuses(&output), ["changed"; 3], "{}\n{}", output.stdout, output.stderr);
    for host in [recorded, switched, confirming] {
        assert_eq!(settles_on_one_release(host), "release 1");
    }
    write_release(&controller, 2);
    killed_when(&controller, fresh, "ls .local/share/agent-runner/versions/*/*");
    killed_when(&controller, recorded, "test -e .local/state/agent-runner/pending.json");
    killed_when(&controller, switched, "grep -q 'release 2' demo/agent-runner.toml");
    killed_when(&controller, confirming, "grep -q 'release 2' demo/prompts/main.md");
    for host in [recorded, switched, confirming] {
        let release = settles_on_one_release(host);
        assert!(["release 1", "release 2"].contains(&release.as_str()), "{}: {release}", host.name());
        next_good_round(host);
        assert_eq!((host.unit_state().unwrap().as_str(), loops(host)), ("active", 1), "{}", host.name());
    }
    let release = settles_on_one_release(fresh);
    assert_eq!(loops(fresh), usize::from(!release.is_empty()));

    let again = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!(again.code(), 0, "{}\n{}", again.stdout, again.stderr);
    for host in lab.hosts() {
        assert_eq!(settles_on_one_release(host), "release 2");
        assert_eq!((host.unit_state().unwrap().as_str(), loops(host)), ("active", 1), "{}", host.name());
        next_good_round(host);
    }
    assert_eq!(active(&controller, &lab).len(), 4);
}

#[test]
fn a_reboot_in_the_middle_of_a_deploy_leaves_one_release_and_the_next_deploy_succeeds() {
    let Some((lab, controller)) = fleet_of(1) else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    dead_connections_are_noticed_soon(&controller);
    write_release(&controller, 1);
    deploy_changes(&controller, 1);
    write_release(&controller, 2);
    let deploy = controller.start(&["deploy", "--json"]).unwrap();
    let begun = || {
        host.user_command("grep -q 'release 2' demo/agent-runner.toml").is_ok_and(|output| output.success())
    };
    assert!(wait::until(ROUNDS, begun));
    host.pull_plug().unwrap();
    let output = deploy.wait(Duration::from_secs(120)).unwrap();
    assert_ne!(output.code(), 0, "{}", output.stdout);
    host.boot().unwrap();
    let release = settles_on_one_release(host);
    assert!(["release 1", "release 2"].contains(&release.as_str()), "{release}");
    next_good_round(host);
    let again = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!(again.code(), 0, "{}\n{}", again.stdout, again.stderr);
    assert_eq!(settles_on_one_release(host), "release 2");
    next_good_round(host);
}
