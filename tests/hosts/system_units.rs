//! Units of the system, installed by root for an account, and what an agent may do in either kind of unit.

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::lab::Host;
use agent_runner_tests::skip::skip;
use agent_runner_tests::wait;

use super::by_hand::{
    MONITOR, SERVE, answers, hanging, host_by_hand, next_round_runs, refuses, says, typed, typed_in,
    uninstalls,
};
use super::deployed::{ROUNDS, ended_well, is, next_good_round};

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

fn property(host: &Host, name: &str) -> String {
    host.root(&format!("systemctl show --property {name} --value '{SERVE}'"))
        .unwrap()
        .stdout
        .trim()
        .to_owned()
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
    assert_eq!(host.state_of_system(MONITOR).unwrap(), "active");

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
    assert_eq!(host.state_of_system(SERVE).unwrap(), "inactive");

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
fn a_unit_of_the_system_is_ended_by_its_account_and_by_root_in_every_way() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    let inactive = || wait::until(ROUNDS, || host.state_of_system(SERVE).unwrap() == "inactive");
    let hangs = || wait::until(ROUNDS, || hanging(host) == 1);
    let pid = || property(host, "MainPID");
    says(host, &format!("{SUDO} install --system"));
    host.set_mode(&[Mode::Hang]).unwrap();

    // Its account, which systemd does not hear: the Loop ends well, so nobody starts it again.
    says(host, &format!("sudo -n systemctl start '{SERVE}'"));
    assert!(hangs(), "{}", host.newest(20));
    let killed = answers(host, "agent-runner kill --json");
    assert_eq!((&killed["mode"], &killed["active"]), (&"systemd_system".into(), &false.into()), "{killed}");
    assert_eq!((hanging(host), host.state_of_system(SERVE).unwrap().as_str()), (0, "inactive"));
    assert_eq!((property(host, "Result"), property(host, "NRestarts")), ("success".into(), "0".into()));
    assert_eq!(answers(host, "agent-runner kill --json")["active"], false, "twice is harmless");
    says(host, &format!("sudo -n systemctl start '{SERVE}'"));
    assert!(hangs(), "{}", host.newest(20));
    says(host, "agent-runner cancel");
    assert!(inactive() && hanging(host) == 0, "{}", host.newest(20));

    // A Loop that does not follow is root's to end, and how is said.
    says(host, &format!("sudo -n systemctl start '{SERVE}'"));
    assert!(hangs(), "{}", host.newest(20));
    says(host, &format!("kill -STOP {}", pid()));
    let refused = refuses(host, "agent-runner kill", 1);
    let remedy = refused.lines().find_map(|line| line.split_once("hint: ")).unwrap().1;
    assert!(remedy.starts_with("sudo systemctl --no-block stop"), "{refused}");
    // Continued by systemd, it may be gone before it can be killed.
    let _ = typed(host, &remedy.replace("sudo ", "sudo -n "));
    assert!(wait::until(ROUNDS, || ["inactive", "failed"]
        .contains(&host.state_of_system(SERVE).unwrap().as_str())));
    assert_eq!((hanging(host), property(host, "NRestarts").as_str()), (0, "0"));

    // Root.
    assert_eq!(answers(host, &format!("{SUDO} start --json"))["active"], true);
    assert!(hangs(), "{}", host.newest(20));
    let before = pid();
    assert_eq!(answers(host, &format!("{SUDO} restart --force --json"))["active"], true);
    assert_ne!(pid(), before);
    assert!(hangs(), "one agent, the new one: {}", host.newest(20));
    says(host, &format!("{SUDO} cancel"));
    assert!(inactive() && hanging(host) == 0, "{}", host.newest(20));
    host.set_mode(&[Mode::Sleep(8)]).unwrap();
    assert_eq!(answers(host, &format!("{SUDO} start --json"))["active"], true);
    let drained = next_round_runs(host, Mode::Sleep(15));
    let stopping = answers(host, &format!("{SUDO} stop --json"));
    assert_eq!(stopping["active"], true, "5 s are not enough for a round of 15 s");
    assert!(inactive(), "{}", host.newest(20));
    let end = host.events().unwrap().into_iter().rfind(|event| is(event, "agent_exit")).unwrap();
    assert!(ended_well(&end) && end["round_num"] == drained, "{end}");

    // A namesake in another folder does not take the unit over by accident.
    host.says("mkdir other && git init -q other/demo && git -C other/demo commit -q --allow-empty -m begin")
        .unwrap();
    typed_in(host, "other/demo", "agent-runner init --preset claude").checked().unwrap();
    let clobbered = typed_in(host, "other/demo", &format!("{SUDO} install --system"));
    assert_eq!(clobbered.code(), 1);
    assert!(clobbered.stderr.contains("belongs to /home/ops/demo"), "{}", clobbered.stderr);
    assert!(clobbered.stderr.contains("hint: `--force` replaces it"), "{}", clobbered.stderr);
    assert_eq!(property(host, "WorkingDirectory"), "/home/ops/demo");
    typed_in(host, "other/demo", &format!("{SUDO} install --system --force")).checked().unwrap();
    assert_eq!(property(host, "WorkingDirectory"), "/home/ops/other/demo");
}

#[test]
fn root_leaves_the_unit_of_a_round_that_drains_and_takes_it_afterwards() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    says(host, &format!("{SUDO} install --system --monitor"));
    says(host, &format!("sudo -n systemctl start '{SERVE}'"));
    let patience = || ["TimeoutStopUSec", "KillMode"].map(|name| property(host, name));
    let before = patience();
    assert_ne!(before[0], "1min 30s", "systemd's own would tell nothing");
    next_round_runs(host, Mode::Hang);
    let left = refuses(host, &format!("{SUDO} uninstall"), 1);
    assert!(left.contains("demo still drains its round") && left.contains("hint: uninstall again"), "{left}");
    assert_eq!((host.state_of_system(SERVE).unwrap().as_str(), patience()), ("deactivating", before));

    says(host, "agent-runner cancel");
    assert!(wait::until(ROUNDS, || host.state_of_system(SERVE).unwrap() == "inactive"));
    uninstalls(host, &format!("{SUDO} uninstall"));
    assert_eq!(
        host.root("ls /etc/systemd/system | grep -c agent-runner || true").unwrap().stdout.trim(),
        "0"
    );
}

/// What the files of the host say of the control group of a process of the account.
fn brake_permitted(host: &Host, pid: &str) -> String {
    let script = format!(
        "group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/{pid}/cgroup); \
         if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then echo 'inert(no cgroup v2)'; \
         elif [ -O $group ] && [ -w $group/cgroup.procs ] && [ -w $group/memory.high ]; then echo armed; \
         else echo 'inert(undelegated)'; fi"
    );
    host.says(&script).unwrap()
}

#[test]
fn the_brake_of_each_kind_of_unit_is_what_its_group_permits() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    let wanted = "printf '\\n[monitor.host_health.brake]\\nmemory_high = true\\n' >> agent-runner.toml && \
                  git commit -qam brake";
    says(host, wanted);
    says(host, "agent-runner install");
    next_good_round(host);
    let user = brake_permitted(host, &host.main_pid().unwrap());
    let peeked = answers(host, "agent-runner peek --json");
    assert_eq!(peeked["brake"], user.as_str());
    assert!(says(host, "agent-runner peek").contains(&format!("brake     {user}")));
    let doctor = answers(host, "agent-runner doctor --json");
    assert_eq!(doctor["cgroup"]["brake"], user.as_str(), "{doctor}");
    uninstalls(host, "agent-runner uninstall");
    assert!(wait::until(ROUNDS, || answers(host, "agent-runner status --json")["mode"] == "none"));

    says(host, &format!("{SUDO} install --system"));
    says(host, &format!("sudo -n systemctl start '{SERVE}'"));
    next_good_round(host);
    let system = brake_permitted(host, &property(host, "MainPID"));
    assert_eq!(answers(host, "agent-runner peek --json")["brake"], system.as_str());
    if user == "inert(no cgroup v2)" {
        return skip("which units may pull the brake: this machine has no cgroup v2 alone");
    }
    assert_eq!((user.as_str(), system.as_str()), ("armed", "inert(undelegated)"));
}

#[test]
fn an_agent_may_do_in_a_unit_what_its_account_may() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    host.set_mode(&[Mode::Work]).unwrap();
    host.put("/home/ops/.local/bin/claude", BUSY_AGENT.as_bytes(), 0o755).unwrap();
    says(host, "agent-runner install --monitor");
    next_good_round(host);
    uninstalls(host, "agent-runner uninstall");

    says(host, &format!("{SUDO} install --system --monitor"));
    says(host, &format!("sudo -n systemctl start '{SERVE}' '{MONITOR}'"));
    next_good_round(host);
    assert_eq!(host.state_of_system(MONITOR).unwrap(), "active");
    let failed = host
        .events()
        .unwrap()
        .into_iter()
        .find(|event| event["event"] == "agent_exit" && event["exit_code"] != 0);
    assert_eq!(failed, None, "{}", host.says("cat ~/.agent-runner/demo/logs/rounds/*.log").unwrap());
}
