//! What is installed by hand on a host stops itself when its login expires or a disk is full, tells the truth about it,
//! and starts again when the cause is gone.

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::lab::{Host, Lab};
use agent_runner_tests::wait;
use serde_json::Value;

use super::by_hand::{MONITOR, SERVE, answers, becomes, host_by_hand, says};
use super::deployed::{ROUNDS, ended_well, is, next_good_round};

/// Lets the host's own monitor look every second: nobody wants to wait for its half minute.
fn monitor_looks_often(host: &Host) {
    let hurried = "mkdir -p ~/.config/systemd/user/agent-runner-monitor@demo.service.d && \
        printf '[Service]\\nExecStart=\\nExecStart=/home/ops/.local/bin/agent-runner monitor --interval 1 \
        --config /home/ops/demo/agent-runner.toml\\n' \
        > ~/.config/systemd/user/agent-runner-monitor@demo.service.d/often.conf";
    host.says(hurried).unwrap();
}

fn stops(host: &Host, detector: &str) -> Vec<Value> {
    let events = host.events().unwrap_or_default();
    let stop = |event: &Value| is(event, "monitor_auto_stop_triggered") && event["detector"] == detector;
    events.into_iter().filter(stop).collect()
}

/// The service is stopped, on record once, and whoever asks is told.
fn is_stopped_for(host: &Host, detector: &str) {
    becomes(host, "inactive");
    assert!(wait::until(ROUNDS, || stops(host, detector).len() == 1), "{}", host.newest(30));
    let events = host.events().unwrap();
    assert!(!events.iter().any(|event| is(event, "monitor_auto_stop_failed")), "{}", host.newest(30));
    let told =
        events.iter().filter(|event| is(event, "monitor_alert_emitted") && event["detector"] == detector);
    assert_eq!(told.count(), 1, "{}", host.newest(30));
    let status = says(host, "agent-runner status");
    assert!(status.contains("stopped by its monitor") && status.contains(detector), "{status}");
    assert!(says(host, "agent-runner peek").contains(&format!("CRITICAL {detector}")));
}

/// It is started by hand and goes on although the log still holds what it was stopped for.
fn starts_again(host: &Host, detector: &str) {
    assert_eq!(answers(host, "agent-runner start --json")["active"], true);
    for _ in 0..3 {
        next_good_round(host);
    }
    assert_eq!(host.unit_state().unwrap(), "active", "{}", host.newest(30));
    assert_eq!(stops(host, detector).len(), 1);
}

#[test]
fn an_expired_login_stops_the_unit_and_a_new_one_lets_it_go_on() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    monitor_looks_often(host);
    says(host, "agent-runner install --monitor");
    next_good_round(host);
    host.set_mode(&[Mode::Auth]).unwrap();
    is_stopped_for(host, "oauth_fail");
    host.set_mode(&[Mode::Work]).unwrap();
    starts_again(host, "oauth_fail");
}

/// An ordinary account's monitor may not stop a unit of the system. It signals the Loop, which drains while systemd
/// calls its unit active.
#[test]
fn an_expired_login_stops_a_unit_of_the_system() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    let events_of = |kind: &str| {
        let events = host.events().unwrap_or_default();
        events.into_iter().filter(|event| is(event, kind)).collect::<Vec<_>>()
    };
    says(host, "sudo -n /home/ops/.local/bin/agent-runner install --system --monitor");
    let hurried = format!(
        "mkdir -p '/etc/systemd/system/{MONITOR}.d' && \
         printf '[Service]\\nExecStart=\\nExecStart=/home/ops/.local/bin/agent-runner monitor --interval 1 \
         --config /home/ops/demo/agent-runner.toml\\n' > '/etc/systemd/system/{MONITOR}.d/often.conf' && \
         systemctl daemon-reload"
    );
    host.root(&hurried).unwrap().checked().unwrap();
    host.set_mode(&[Mode::Auth, Mode::Auth, Mode::Auth, Mode::Sleep(25)]).unwrap();
    says(host, &format!("sudo -n systemctl start '{SERVE}'"));
    assert!(wait::until(ROUNDS, || events_of("agent_spawn").len() == 4), "{}", host.newest(30));
    says(host, &format!("sudo -n systemctl start '{MONITOR}'"));
    assert!(
        wait::until(ROUNDS, || host.state_of_system(SERVE).unwrap() == "inactive"),
        "{}",
        host.newest(30)
    );
    assert!(wait::until(ROUNDS, || stops(host, "oauth_fail").len() == 1), "{}", host.newest(30));
    let last = events_of("agent_exit").pop().unwrap();
    assert!(ended_well(&last) && last["round_num"] == 4, "the round was finished: {}", host.newest(30));
    assert!(events_of("monitor_auto_stop_failed").is_empty(), "{}", host.newest(30));
    assert_eq!(events_of("agent_spawn").len(), 4);
    assert_eq!(events_of("monitor_alert_emitted").len(), 1, "{}", host.newest(30));

    host.set_mode(&[Mode::Work]).unwrap();
    says(host, &format!("sudo -n systemctl start '{SERVE}'"));
    for _ in 0..2 {
        next_good_round(host);
    }
    assert_eq!(
        (host.state_of_system(SERVE).unwrap().as_str(), stops(host, "oauth_fail").len()),
        ("active", 1),
        "{}",
        host.newest(30)
    );
}

/// A host at work whose log dir is a disk of its own, which its monitor looks at often.
fn logging_to_a_small_disk() -> Option<Lab> {
    let lab = host_by_hand()?;
    let host = lab.hosts().first().unwrap();
    host.says("mkdir -p ~/.agent-runner/demo").unwrap();
    host.mount_small_disk("/home/ops/.agent-runner/demo/logs", 20).unwrap();
    monitor_looks_often(host);
    says(host, "agent-runner install --monitor");
    next_good_round(host);
    Some(lab)
}

#[test]
fn a_log_dir_on_a_nearly_full_disk_stops_the_unit() {
    let Some(lab) = logging_to_a_small_disk() else { return };
    let host = &lab.hosts()[0];
    // Room for the records of what follows is left.
    host.says("dd if=/dev/zero of=$HOME/.agent-runner/demo/logs/.fill bs=100k count=198 status=none")
        .unwrap();
    is_stopped_for(host, "disk_critical");
    host.says("rm ~/.agent-runner/demo/logs/.fill").unwrap();
    starts_again(host, "disk_critical");
}

#[test]
fn a_log_dir_without_a_byte_left_stops_the_unit_and_the_record_follows_when_there_is_room() {
    let Some(lab) = logging_to_a_small_disk() else { return };
    let host = &lab.hosts()[0];
    host.fill_disk("/home/ops/.agent-runner/demo/logs").unwrap();
    becomes(host, "inactive");
    host.root("rm /home/ops/.agent-runner/demo/logs/.fill").unwrap().checked().unwrap();
    assert!(wait::until(ROUNDS, || stops(host, "disk_critical").len() == 1), "{}", host.newest(30));
    starts_again(host, "disk_critical");
}

#[test]
fn a_full_disk_below_the_work_tree_stops_the_unit_too() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    monitor_looks_often(host);
    host.says("mv demo kept").unwrap();
    host.mount_small_disk("/home/ops/demo", 20).unwrap();
    host.says("cp -a kept/. demo/").unwrap();
    says(host, "agent-runner install --monitor");
    next_good_round(host);
    host.fill_disk("/home/ops/demo").unwrap();
    is_stopped_for(host, "disk_critical");
    let alert = host.events().unwrap().into_iter().rfind(|event| is(event, "monitor_alert_emitted"));
    assert_eq!(alert.unwrap()["message"], "disk usage 100% ≥ 95%, auto-stopping");
    host.root("rm /home/ops/demo/.fill").unwrap().checked().unwrap();
    starts_again(host, "disk_critical");
}
