//! Units of the system, installed by root for an account, and what an agent may do in either kind of unit.

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::lab::Host;
use agent_runner_tests::wait;

use super::by_hand::{MONITOR, SERVE, answers, host_by_hand, refuses, says, typed};
use super::deployed::{ROUNDS, next_good_round};

const SUDO: &str = "sudo -n /home/ops/.local/bin/agent-runner";

/// An agent that does what agents do, and ends with the line of what it could not.
const BUSY_AGENT: &str = r#"#!/bin/bash
[ "$1" = --version ] && { echo 2.0.0; exit 0; }
cat >/dev/null
fail() { echo "agent: cannot $1" >&2; exit 1; }
echo step >>work.md && git add work.md && git commit -qm step -- work.md || fail commit
echo state >"$HOME/.agent-state" || fail 'write to HOME'
file=$(mktemp) && echo x >"$file" && rm "$file" || fail 'make temporary files'
exec 3<>/dev/tcp/127.0.0.1/22 && read -r -t 10 banner <&3 || fail 'use the network'
case $banner in SSH-2.0-*) ;; *) fail "hear a server: $banner" ;; esac
sudo -n true || fail 'become root, as its account may'
(ulimit -c 0; exec sh -c 'kill -0 $$') || fail 'run programs'
echo '{"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":1,"duration_ms":1,"total_cost_usd":0,"usage":{"input_tokens":1,"output_tokens":1}}'
"#;

fn unit_state(host: &Host, unit: &str) -> String {
    host.root(&format!("systemctl is-active '{unit}'")).unwrap().stdout.trim().to_owned()
}

#[test]
fn a_unit_of_the_system_runs_as_the_account_and_is_removed_by_the_commands_that_are_printed() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    let refused = refuses(host, "agent-runner install --system", 1);
    assert!(refused.contains("hint: sudo agent-runner install --system"), "{refused}");

    let installed = typed(host, &format!("{SUDO} install --system --monitor"));
    assert_eq!(installed.code(), 0, "{}", installed.stderr);
    assert!(installed.stdout.contains("enabled, not started"), "{}", installed.stdout);
    assert!(
        installed.stderr.contains(&format!("start it with: sudo systemctl start '{SERVE}'")),
        "{}",
        installed.stderr
    );
    let verified = host.root("systemd-analyze verify /etc/systemd/system/agent-runner*.service").unwrap();
    assert_eq!((verified.code(), verified.stderr.as_str()), (0, ""));

    says(host, &format!("sudo -n systemctl start '{SERVE}' '{MONITOR}'"));
    next_good_round(host);
    let status = answers(host, "agent-runner status --json");
    assert_eq!((&status["mode"], &status["active"]), (&"systemd_system".into(), &true.into()));
    assert_eq!(status["system_managed"], true);
    assert!(status["uptime_s"].is_number(), "{status}");
    let seen_by_root = answers(host, &format!("{SUDO} status --json"));
    assert_eq!((&seen_by_root["mode"], &seen_by_root["active"]), (&status["mode"], &status["active"]));
    assert!(seen_by_root["uptime_s"].is_number(), "root finds the account's log dir: {seen_by_root}");
    let owner = host.root(&format!("ps -o user= -p $(systemctl show -p MainPID --value '{SERVE}')")).unwrap();
    assert_eq!(owner.stdout.trim(), "ops");
    assert_eq!(unit_state(host, MONITOR), "active");

    // The account may end its own Loop, and is told how the rest goes.
    let restart = refuses(host, "agent-runner restart", 1);
    assert!(restart.contains(&format!("hint: sudo systemctl restart '{SERVE}'")), "{restart}");
    let stopped = || answers(host, "agent-runner stop --json")["active"] == false;
    assert!(wait::until(ROUNDS, stopped));
    let start = refuses(host, "agent-runner start", 1);
    assert!(start.contains(&format!("hint: sudo systemctl start '{SERVE}'")), "{start}");

    // Root has every verb.
    assert_eq!(answers(host, &format!("{SUDO} start --json"))["active"], true);
    next_good_round(host);
    assert_eq!(answers(host, &format!("{SUDO} restart --json"))["active"], true);
    next_good_round(host);
    assert_eq!(answers(host, &format!("{SUDO} kill --json"))["active"], false);
    assert_eq!(unit_state(host, SERVE), "inactive");

    let told = typed(host, "agent-runner uninstall");
    assert_eq!(told.code(), 0);
    let commands: Vec<&str> =
        told.stderr.lines().filter_map(|line| line.trim().strip_prefix("sudo ")).collect();
    assert_eq!(commands.len(), 5, "{}", told.stderr);
    for command in commands {
        host.root(command).unwrap().checked().unwrap();
    }
    assert_eq!(answers(host, "agent-runner status --json")["mode"], "none");
}

#[test]
fn an_agent_may_do_in_a_unit_what_its_account_may() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    host.set_mode(&[Mode::Work]).unwrap();
    host.put("/home/ops/.local/bin/claude", BUSY_AGENT.as_bytes(), 0o755).unwrap();
    says(host, "agent-runner install --monitor");
    next_good_round(host);
    says(host, "agent-runner uninstall");

    says(host, &format!("{SUDO} install --system --monitor"));
    says(host, &format!("sudo -n systemctl start '{SERVE}' '{MONITOR}'"));
    next_good_round(host);
    assert_eq!(unit_state(host, MONITOR), "active");
    let failed = host
        .events()
        .unwrap()
        .into_iter()
        .find(|event| event["event"] == "agent_exit" && event["exit_code"] != 0);
    assert_eq!(failed, None, "{}", host.says("cat ~/.agent-runner/demo/logs/rounds/*.log").unwrap());
}
