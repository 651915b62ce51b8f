//! The verbs of the service, typed by the user on a host with a real systemd.

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::lab::Host;
use agent_runner_tests::wait;
use serde_json::Value;

use super::by_hand::{
    MONITOR, SERVE, answers, becomes, hanging, host_by_hand, next_round_runs, refuses, says, typed, typed_in,
    uninstalls,
};
use super::deployed::{ROUNDS, ended_well, is, next_good_round};

fn property(host: &Host, unit: &str, name: &str) -> String {
    host.says(&format!("systemctl --user show --property {name} --value '{unit}'")).unwrap()
}

fn units(host: &Host) -> String {
    // It fails where there are none.
    let listed = host.user_command("systemctl --user list-unit-files --no-legend 'agent-runner*'").unwrap();
    let lines = listed.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// The last event of a kind in the log now.
fn last(host: &Host, kind: &str) -> Option<Value> {
    host.events().ok()?.into_iter().rfind(|event| is(event, kind))
}

#[test]
fn a_project_is_checked_installed_served_and_removed() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    assert!(says(host, "agent-runner doctor").contains("[ok]   agent_cli_in_path"));
    assert_eq!(answers(host, "agent-runner status --json")["mode"], "none");
    let installed = answers(host, "agent-runner install --monitor --json");
    assert_eq!((&installed["enabled"], &installed["started"]), (&true.into(), &true.into()));
    let verified = typed(host, "systemd-analyze --user verify ~/.config/systemd/user/agent-runner*.service");
    assert_eq!((verified.code(), verified.stderr.as_str()), (0, ""), "{}", verified.stdout);

    // The command is `claude`, which is on the PATH of whoever installed, and not on systemd's.
    next_good_round(host);
    for unit in [SERVE, MONITOR] {
        assert_eq!(host.state_of(unit).unwrap(), "active");
        assert!(units(host).contains(&format!("{unit} enabled")), "{}", units(host));
    }
    let status = answers(host, "agent-runner status --json");
    assert_eq!((&status["mode"], &status["active"]), (&"systemd_user".into(), &true.into()));
    assert!(status["uptime_s"].as_i64().unwrap() >= 0, "{status}");
    assert_eq!(answers(host, "agent-runner install --monitor --json"), installed, "twice changes nothing");

    let removed = uninstalls(host, "agent-runner uninstall");
    assert!(removed.contains(&format!("removed /home/ops/.config/systemd/user/{SERVE}")), "{removed}");
    assert_eq!(units(host), "");
    assert_eq!(answers(host, "agent-runner status --json")["mode"], "none");
    assert!(typed(host, "agent-runner uninstall").stderr.contains("demo has no unit of this account"));

    // Without a unit the Loop runs detached, and no unit gets in its way.
    let started = answers(host, "agent-runner start --json");
    assert_eq!((&started["mode"], &started["active"]), (&"pid_file".into(), &true.into()));
    let refused = refuses(host, "agent-runner install", 1);
    assert!(refused.contains("the Loop runs detached, as process"), "{refused}");
    assert!(refused.contains("hint: `agent-runner stop`"), "{refused}");
    assert_eq!(units(host), "");
    next_good_round(host);
    let stopped = || answers(host, "agent-runner stop --json")["active"] == false;
    assert!(wait::until(ROUNDS, stopped));
}

#[test]
fn stop_drains_restart_waits_force_does_not_kill_and_cancel_end_the_round() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    says(host, "agent-runner install");
    let drained = next_round_runs(host, Mode::Sleep(15));
    let stopping = answers(host, "agent-runner stop --json");
    assert_eq!(stopping["active"], true, "5 s are not enough for a round of 15 s");
    becomes(host, "inactive");
    let end = last(host, "agent_exit").unwrap();
    assert!(ended_well(&end) && end["round_num"] == drained, "{end}");

    host.set_mode(&[Mode::Sleep(3)]).unwrap();
    says(host, "agent-runner start");
    let before = next_round_runs(host, Mode::Sleep(3));
    let pid = host.main_pid().unwrap();
    assert_eq!(answers(host, "agent-runner restart --json")["active"], true);
    let restarted = || host.main_pid().is_ok_and(|now| now != pid && now != "0");
    assert!(wait::until(ROUNDS, restarted), "{}", host.newest(20));
    let ended =
        host.wait_for_event(ROUNDS, |event| is(event, "agent_exit") && event["round_num"] == before).unwrap();
    assert!(ended_well(&ended), "{ended}");

    next_round_runs(host, Mode::Hang);
    assert!(wait::until(ROUNDS, || hanging(host) == 1));
    let pid = host.main_pid().unwrap();
    assert_eq!(answers(host, "agent-runner restart --force --json")["active"], true);
    assert_ne!(host.main_pid().unwrap(), pid);
    assert!(wait::until(ROUNDS, || hanging(host) == 1), "one agent, the new one: {}", host.newest(20));

    assert_eq!(answers(host, "agent-runner kill --json")["active"], false);
    assert_eq!(hanging(host), 0);
    assert_eq!(answers(host, "agent-runner kill --json")["active"], false, "twice is harmless");

    says(host, "agent-runner start");
    assert!(wait::until(ROUNDS, || hanging(host) == 1));
    let cancelled = last(host, "agent_spawn").unwrap()["round_num"].clone();
    says(host, "agent-runner cancel");
    becomes(host, "inactive");
    assert_eq!(hanging(host), 0);
    assert!(last(host, "round_cancelled").is_some(), "{}", host.newest(20));
    assert_eq!(last(host, "agent_exit").unwrap()["round_num"], cancelled);
}

#[test]
fn a_unit_whose_round_drains_keeps_its_file_and_its_patience_until_it_has() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    says(host, "agent-runner install --monitor");
    let patience = || ["TimeoutStopUSec", "KillMode"].map(|name| property(host, SERVE, name));
    let before = patience();
    assert_ne!(before[0], "1min 30s", "systemd's own would tell nothing");
    let drained = next_round_runs(host, Mode::Hang);
    let left = refuses(host, "agent-runner uninstall", 1);
    assert!(left.contains("demo still drains its round") && left.contains("hint: uninstall again"), "{left}");
    assert!(left.contains(&format!("removed /home/ops/.config/systemd/user/{MONITOR}")), "{left}");
    assert_eq!(host.unit_state().unwrap(), "deactivating");
    assert_eq!(patience(), before);
    // Nothing starts it when the host boots meanwhile.
    assert!(units(host).starts_with(&format!("{SERVE} disabled")), "{}", units(host));
    refuses(host, "agent-runner uninstall", 1);
    assert_eq!(patience(), before);

    says(host, "agent-runner cancel");
    becomes(host, "inactive");
    assert_eq!(last(host, "agent_exit").unwrap()["round_num"], drained);
    let gone = typed(host, "agent-runner uninstall");
    assert!(gone.code() == 0 && gone.stderr.contains(&format!("{SERVE}\n")), "{}", gone.stderr);
    assert_eq!(units(host), "");
}

#[test]
fn what_stands_in_the_way_is_named_with_its_remedy() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    let no_bus =
        "XDG_RUNTIME_DIR=/tmp/none DBUS_SESSION_BUS_ADDRESS=unix:path=/tmp/none agent-runner install";
    let refused = refuses(host, no_bus, 1);
    assert!(refused.contains("systemd of this account does not answer"), "{refused}");
    assert!(refused.contains("hint: run `sudo loginctl enable-linger ops`"), "{refused}");
    assert_eq!(units(host), "");

    let restart = refuses(host, "agent-runner restart", 1);
    assert!(
        restart.contains("demo has no service to restart") && restart.contains("`agent-runner start`"),
        "{restart}"
    );

    host.root("rm /var/lib/systemd/linger/ops").unwrap().checked().unwrap();
    let installed = typed(host, "PATH=/usr/bin:/bin ~/.local/bin/agent-runner install");
    assert_eq!(installed.code(), 1, "{}", installed.stderr);
    assert!(
        installed.stderr.contains("is installed and enabled, but does not start"),
        "{}",
        installed.stderr
    );
    assert!(
        installed.stderr.contains("sudo loginctl enable-linger ops changes that"),
        "{}",
        installed.stderr
    );
    assert!(installed.stderr.contains("rounds will fail: agent_cli_in_path: claude"), "{}", installed.stderr);
    becomes(host, "failed");
    let status = says(host, "agent-runner status");
    assert!(status.contains("the configuration or the prompt cannot work"), "{status}");
    assert!(status.contains("claude is not an executable"), "{status}");

    // With the CLI on the PATH, installing again is the remedy.
    says(host, "agent-runner install");
    next_good_round(host);
    assert!(!says(host, "agent-runner status").contains("ended"));

    // A namesake in another folder.
    host.says("mkdir other && git init -q other/demo && git -C other/demo commit -q --allow-empty -m begin")
        .unwrap();
    typed_in(host, "other/demo", "agent-runner init --preset claude").checked().unwrap();
    let clobbered = typed_in(host, "other/demo", "agent-runner install");
    assert_eq!(clobbered.code(), 1);
    assert!(clobbered.stderr.contains("belongs to /home/ops/demo"), "{}", clobbered.stderr);
    assert!(clobbered.stderr.contains("hint: `--force` replaces it"), "{}", clobbered.stderr);
    assert_eq!(property(host, SERVE, "WorkingDirectory"), "/home/ops/demo");
    typed_in(host, "other/demo", "agent-runner install --force").checked().unwrap();
    assert_eq!(property(host, SERVE, "WorkingDirectory"), "/home/ops/other/demo");
}

#[test]
fn systemd_hears_that_it_is_ready_what_it_does_and_restarts_one_that_is_silent() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    says(host, "agent-runner install");
    assert_eq!(property(host, SERVE, "Type"), "notify");
    assert_eq!(property(host, SERVE, "WatchdogUSec"), "5min");
    let round = next_round_runs(host, Mode::Hang);
    let told = format!("round {round} runs");
    let status = || property(host, SERVE, "StatusText");
    assert!(wait::until(ROUNDS, || status().starts_with(&told)), "{}", status());

    let dropped = "mkdir -p ~/.config/systemd/user/agent-runner@demo.service.d && \
                   printf '[Service]\\nWatchdogSec=4\\n' > ~/.config/systemd/user/agent-runner@demo.service.d/w.conf && \
                   systemctl --user daemon-reload";
    host.says(dropped).unwrap();
    says(host, "agent-runner restart --force");
    let pid = host.main_pid().unwrap();
    assert!(wait::until(ROUNDS, || hanging(host) == 1));
    // It speaks while a round runs: nobody restarts it although no round ends.
    let spoken = property(host, SERVE, "WatchdogTimestampMonotonic");
    let again = || property(host, SERVE, "WatchdogTimestampMonotonic") != spoken;
    assert!(wait::until(ROUNDS, again));
    assert_eq!((host.main_pid().unwrap(), property(host, SERVE, "NRestarts")), (pid.clone(), "0".to_owned()));

    host.says(&format!("kill -STOP {pid}")).unwrap();
    assert!(wait::until(ROUNDS, || property(host, SERVE, "NRestarts") == "1"), "{}", host.newest(20));
    assert!(wait::until(ROUNDS, || hanging(host) == 1 && host.main_pid().is_ok_and(|now| now != pid)));
}
