//! A host of the other machine: the controller takes the agent for it, which works there under the host's systemd.

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::fleet::{Controller, lab_fleet};
use agent_runner_tests::lab::{Emulator, Host, Lab};
use agent_runner_tests::skip::{Unavailable, or_skip};
use agent_runner_tests::wait;
use serde_json::Value;

use super::deployed::{
    CONTROLLER, ROUNDS, SHARE, controller, deploy_changes, executed, hand_overs, in_use, next_good_round,
    result_of, runs_another_program, statuses, text,
};

/// An aarch64 host with nothing on it. `None` where it cannot be had.
fn fleet() -> Option<(Emulator, Lab, Controller, Value)> {
    let program = controller();
    let agent = or_skip(carried(&program))?;
    let emulator = or_skip(Emulator::aarch64())?;
    let lab = or_skip(Lab::up(1))?;
    lab.hosts()[0].answer_as_aarch64().unwrap();
    let controller = lab_fleet(program, &lab).unwrap();
    Some((emulator, lab, controller, agent))
}

/// What a controller says of the aarch64 agent that it carries.
fn carried(program: &std::path::Path) -> Result<Value, Unavailable> {
    let output = Controller::new(program)?.run(&["--version", "--json"])?;
    let said: Value = serde_json::from_str(&output.checked()?).map_err(anyhow::Error::from)?;
    let agents = said["agents"].as_array().cloned().unwrap_or_default();
    agents.into_iter().find(|agent| agent["machine"] == "aarch64").ok_or_else(|| {
        Unavailable::missing(format!(
            "{} carries no agent for aarch64 (make one with .ci/release and name it in {CONTROLLER})",
            program.display()
        ))
    })
}

/// The machine of the program file that the host's link leads to, as its header says.
fn machine(host: &Host) -> String {
    host.says(&format!("od -A n -t x1 -j 18 -N 2 {SHARE}/current/agent-runner")).unwrap().trim().to_owned()
}

/// The Loop dies in a round whose agent ignores what it is told.
fn a_killed_loop_comes_back_and_its_agent_does_not(host: &Host) {
    host.set_mode(&[Mode::IgnoreTerm, Mode::Sleep(1)]).unwrap();
    let hangs = || host.says("pgrep --full '[s]leep 86400'").is_ok();
    assert!(wait::until(ROUNDS, hangs), "{}", host.newest(20));
    let killed = host.main_pid().unwrap();
    host.says(&format!("kill -9 {killed}")).unwrap();
    let other = || host.main_pid().is_ok_and(|pid| pid != killed && pid != "0");
    assert!(wait::until(ROUNDS, other), "the unit is restarted");
    next_good_round(host);
    assert!(!hangs(), "the agent of the killed Loop is gone");
}

/// The Loop runs another program than the controller's, which takes over in a deploy: confirmed, in the same process.
fn another_program_is_replaced(controller: &Controller, host: &Host, folder: &str) {
    let (pid, before) = (host.main_pid().unwrap(), hand_overs(host));
    runs_another_program(host, folder);
    deploy_changes(controller, 1);
    assert_eq!((host.main_pid().unwrap(), executed(host)), (pid, in_use(folder)));
    assert_eq!(hand_overs(host), before + 2);
    next_good_round(host);
}

/// A release whose rounds fail is put back by the host, which says why.
fn a_bad_release_is_put_back(controller: &Controller, host: &Host) {
    let config = host.says("cat demo/agent-runner.toml").unwrap();
    controller.replace("agent-runner.toml", "/home/ops/.local/bin/claude", "/bin/false").unwrap();
    let bad = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!((bad.code(), statuses(&bad)), (2 | 16, vec!["reverted".to_owned()]), "{}", bad.stdout);
    let result = result_of(&bad, host);
    assert!(
        result.to_string().contains("the first round of the new release ended with exit code 1"),
        "{result}"
    );
    assert_eq!(host.says("cat demo/agent-runner.toml").unwrap(), config);
    controller.replace("agent-runner.toml", "/bin/false", "/home/ops/.local/bin/claude").unwrap();
    next_good_round(host);
}

#[test]
fn the_other_machine_gets_its_own_agent_which_is_supervised_upgraded_and_put_back_there() {
    let Some((_emulator, lab, controller, agent)) = fleet() else { return };
    let [host] = lab.hosts() else { panic!("one host") };
    let folder = format!("versions/{}-{}", text(&agent["version"]), &text(&agent["sha256"])[..12]);
    deploy_changes(&controller, 1);
    assert_eq!(host.says(&format!("readlink {SHARE}/current")).unwrap(), folder);
    assert_eq!(machine(host), "b7 00", "the number of aarch64");
    let sum = host.says(&format!("sha256sum {SHARE}/current/agent-runner")).unwrap();
    assert_eq!(sum.split(' ').next(), agent["sha256"].as_str());
    let said = host.says(".local/bin/agent-runner --version --json").unwrap();
    assert!(said.contains("aarch64-unknown-linux-musl"), "{said}");
    next_good_round(host);
    let again = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!((again.code(), statuses(&again)), (0, vec!["ok".to_owned()]), "{}", again.stdout);

    a_killed_loop_comes_back_and_its_agent_does_not(host);
    another_program_is_replaced(&controller, host, &folder);

    // From here on a release is well when a round of it was.
    controller.replace("fleet.toml", "confirm_s = 20", "confirm_s = 20\nhealthy = \"round\"").unwrap();
    controller.replace("agent-runner.toml", "restart_delay_s = 1", "restart_delay_s = 2").unwrap();
    let (pid, before) = (host.main_pid().unwrap(), hand_overs(host));
    deploy_changes(&controller, 1);
    assert_eq!((host.main_pid().unwrap(), hand_overs(host)), (pid.clone(), before + 1));

    a_bad_release_is_put_back(&controller, host);

    let delay = || host.says("grep restart_delay_s demo/agent-runner.toml").unwrap();
    assert_eq!(delay(), "restart_delay_s = 2");
    let back = controller.run(&["rollback", "--json"]).unwrap();
    assert_eq!((back.code(), statuses(&back)), (0, vec!["changed".to_owned()]), "{}", back.stdout);
    assert_eq!(delay(), "restart_delay_s = 1");
    assert_eq!(executed(host), in_use(&folder));
    next_good_round(host);
    assert_eq!((host.main_pid().unwrap(), host.unit_state().unwrap()), (pid, "active".to_owned()));
}
