//! `monitor` in anomaly mode.

use std::fs;
use std::process::{Command, Stdio};

use agent_runner::process::identity::Identity;
use agent_runner::store::pid_file;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::project::{Project, Running};
use crate::wait;

/// A process that stands for the Loop: serve.pid names it, it is reaped when it ends, and it ends with the test.
struct StandIn {
    identity: Identity,
}

impl StandIn {
    fn start(project: &Project, script: &str) -> StandIn {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut ready = [0; 1];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let identity = Identity::of(i32::try_from(child.id()).unwrap()).unwrap();
        pid_file::write(&project.layout, &identity).unwrap();
        std::thread::spawn(move || child.wait());
        StandIn { identity }
    }

    fn willing(project: &Project) -> StandIn {
        StandIn::start(project, "echo; exec sleep 600")
    }

    fn kill(&self) {
        if self.identity.is_alive() {
            kill(Pid::from_raw(self.identity.pid), Signal::SIGKILL).unwrap();
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn an_alert_begins_once_and_ends_once_in_output_and_log() {
    let project = Project::new();
    project.sample(&json!({"disk_used_pct": 91.0}));
    let mut monitor = project.start(&["monitor", "--interval", "1", "--json"]);
    let alert = monitor.json();
    assert_eq!((&alert["detector"], &alert["severity"]), (&json!("disk_warning"), &json!("warning")));
    assert_eq!(alert.as_object().unwrap().len(), 6);
    project.sample(&json!({"disk_used_pct": 50.0}));
    let over = monitor.json();
    assert_eq!((&over["detector"], &over["severity"]), (&json!("disk_warning"), &json!("info")));
    monitor.signal(Signal::SIGTERM);
    assert_eq!(monitor.ended().code(), Some(0));
    assert_eq!(project.logged("monitor_started").len(), 1);
    assert_eq!(project.logged("monitor_alert_emitted").len(), 1);
    assert_eq!(project.logged("monitor_alert_resolved").len(), 1);
    assert_eq!(project.logged("monitor_alert_resolved")[0]["identity"], "disk_warning");
}

#[test]
fn once_tells_what_holds_and_changes_nothing() {
    let project = Project::new();
    project.sample(&json!({"disk_used_pct": 99.0}));
    let before = fs::read_dir(project.layout.root()).unwrap().count();
    let printed = project.printed(&["monitor", "--once"]);
    assert_eq!(printed, "[CRIT] disk_critical — disk usage 99% ≥ 95%, auto-stopping\n");
    assert_eq!(fs::read_dir(project.layout.root()).unwrap().count(), before);
    assert_eq!(project.printed(&["monitor", "--list", "--json"]).matches("\"detector\"").count(), 15);
}

#[test]
fn three_refused_logins_stop_the_loop_and_nothing_stops_it_twice() {
    let project = Project::new();
    let first = StandIn::willing(&project);
    project.refused_rounds(1..=2);
    let monitor = project.start(&["monitor", "--interval", "1", "--json"]);
    wait::until("the monitor is up", || !project.logged("monitor_started").is_empty());
    assert!(first.identity.is_alive());
    project.refused_rounds(3..=3);
    assert_eq!(monitor.json()["detector"], "oauth_fail");
    wait::until("the loop is stopped", || first.identity.is_gone());
    wait::until("the stop is recorded", || !project.logged("monitor_auto_stop_triggered").is_empty());
    drop(monitor);

    // Whoever starts the loop again knows; a new monitor sees the same failures and lets it run.
    let restarted = StandIn::willing(&project);
    let again = project.start(&["monitor", "--interval", "1", "--json"]);
    let alert = again.json();
    assert_eq!((&alert["detector"], &alert["auto_action"]), (&json!("oauth_fail"), &json!("none")));
    assert!(restarted.identity.is_alive());
    project.refused_rounds(4..=4);
    wait::until("new failures stop it again", || restarted.identity.is_gone());
}

#[test]
fn a_draining_loop_is_asked_again_without_a_second_alert() {
    let project = Project::new();
    let stubborn = StandIn::start(&project, "trap '' TERM; echo; while :; do sleep 1; done");
    project.sample(&json!({"disk_used_pct": 99.0}));
    let monitor = project.start(&["monitor", "--interval", "1", "--json"]);
    assert_eq!(monitor.json()["detector"], "disk_critical");
    // A poll with a drain in it takes 5 s: a second sample is only seen by the poll after it.
    project.sample(&json!({"disk_used_pct": 98.0, "mem_free_mb": null, "psi_some_avg10": 50.0}));
    assert_eq!(monitor.json()["detector"], "mem_pressure");
    assert!(project.logged("monitor_auto_stop_triggered").is_empty());
    assert!(project.logged("monitor_auto_stop_failed").is_empty());
    stubborn.kill();
    wait::until("the stop is recorded", || !project.logged("monitor_auto_stop_triggered").is_empty());
    let emitted = project.logged("monitor_alert_emitted");
    assert_eq!(emitted.iter().filter(|event| event["detector"] == "disk_critical").count(), 1);
}

#[test]
fn a_detector_outside_auto_stop_on_stops_nothing() {
    let project = Project::new();
    project.configure("[monitor]\nauto_stop_on = [\"oauth_fail\"]\n");
    let bystander = StandIn::willing(&project);
    project.sample(&json!({"disk_used_pct": 99.0}));
    let monitor = project.start(&["monitor", "--interval", "1", "--json"]);
    assert_eq!(monitor.json()["detector"], "disk_critical");
    project.sample(&json!({"disk_used_pct": 50.0}));
    assert_eq!(monitor.json()["severity"], "info");
    assert!(bystander.identity.is_alive());
}

#[test]
fn it_survives_a_broken_configuration_a_removed_log_dir_and_a_closed_stdout() {
    let project = Project::new();
    let mut command = project.command(&["monitor", "--interval", "1"]);
    let mut monitor = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(monitor.stdout.take());
    wait::until("the monitor is up", || !project.logged("monitor_started").is_empty());
    project.configure_raw("[agent");
    fs::remove_dir_all(project.layout.root()).unwrap();
    fs::create_dir_all(project.layout.rounds_dir()).unwrap();
    project.sample(&json!({"disk_used_pct": 91.0}));
    wait::until("it alerts all the same", || !project.logged("monitor_alert_emitted").is_empty());
    project.configure("[monitor.host_health.disk]\nwarning_pct = 92.0\n");
    wait::until("the new threshold counts", || !project.logged("monitor_alert_resolved").is_empty());
    assert_eq!(monitor.try_wait().unwrap(), None);
    monitor.kill().unwrap();
    monitor.wait().unwrap();
}

#[test]
fn a_missing_or_misnamed_configuration_is_refused() {
    let project = Project::new();
    let other = project.config().with_file_name("other.toml");
    fs::rename(project.config(), &other).unwrap();
    assert_eq!(project.run(&["monitor", "--once"]).status.code(), Some(1));
    project.configure_raw("[agent");
    assert_eq!(project.run(&["monitor", "--once"]).status.code(), Some(78));
    assert_eq!(project.run(&["monitor", "--cursor", "a:1"]).status.code(), Some(2));
    assert_eq!(project.run(&["monitor", "--mode", "stream", "--cursor", "../a:1"]).status.code(), Some(2));
}

/// A systemd that has the project's unit: `state` is what it says of it, every call is noted, and a `stop` ends with
/// this code.
struct Systemd<'a> {
    project: &'a Project,
    bin: tempfile::TempDir,
}

impl<'a> Systemd<'a> {
    fn of(project: &'a Project, stop_ends_with: i32) -> Systemd<'a> {
        let home = project.config().parent().unwrap().parent().unwrap().to_owned();
        let units = home.join(".config/systemd/user");
        fs::create_dir_all(&units).unwrap();
        fs::File::create(units.join("agent-runner@work.service")).unwrap();
        let systemd = Systemd { project, bin: tempfile::tempdir().unwrap() };
        let bin = systemd.bin.path();
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> {bin}/calls\ncase \"$*\" in\n*' show '*) echo ActiveState=$(cat {bin}/state) ;;\n\
             *' stop '*) echo 'Access denied' >&2; exit {stop_ends_with} ;;\nesac\n",
            bin = bin.display()
        );
        agent_runner::store::atomic::replace_with_mode(&bin.join("systemctl"), script.as_bytes(), 0o755)
            .unwrap();
        systemd.says("active");
        systemd
    }

    fn says(&self, state: &str) {
        agent_runner::store::atomic::replace(&self.bin.path().join("state"), state.as_bytes()).unwrap();
    }

    fn stops(&self) -> usize {
        let calls = fs::read_to_string(self.bin.path().join("calls")).unwrap_or_default();
        calls.lines().filter(|call| call.contains(" stop ")).count()
    }

    fn monitor(&self) -> Running {
        let mut command = self.project.command(&["monitor", "--interval", "1", "--json"]);
        Running::of(command.env("PATH", format!("{}:/usr/bin:/bin", self.bin.path().display())))
    }
}

#[test]
fn a_refused_stop_is_recorded_once_and_names_the_mode() {
    for (stop_ends_with, why) in [(1, "Access denied"), (0, "still active after the stop")] {
        let project = Project::new();
        let systemd = Systemd::of(&project, stop_ends_with);
        project.sample(&json!({"disk_used_pct": 99.0}));
        let monitor = systemd.monitor();
        assert_eq!(monitor.json()["detector"], "disk_critical");
        wait::until("the failure is recorded", || !project.logged("monitor_auto_stop_failed").is_empty());
        // The polls that follow are seen by what they find.
        project.sample(&json!({"disk_used_pct": 99.0, "mem_free_mb": null, "psi_some_avg10": 50.0}));
        assert_eq!(monitor.json()["detector"], "mem_pressure");
        project.sample(&json!({"disk_used_pct": 99.0, "mem_free_mb": null, "psi_some_avg10": 0.0}));
        assert_eq!(monitor.json()["context"]["resolved"], true);
        let failed = project.logged("monitor_auto_stop_failed");
        assert_eq!(failed.len(), 1, "{failed:?}");
        let error = failed[0]["error"].as_str().unwrap();
        assert!(error.contains(why) && error.contains("mode systemd_user"), "{error}");
        assert_eq!((&failed[0]["detector"], systemd.stops()), (&json!("disk_critical"), 1));
        assert!(project.logged("monitor_auto_stop_triggered").is_empty());
    }
}

#[test]
fn a_unit_that_deactivates_has_not_failed_to_stop() {
    let project = Project::new();
    let systemd = Systemd::of(&project, 0);
    systemd.says("deactivating");
    project.sample(&json!({"disk_used_pct": 99.0}));
    let _monitor = systemd.monitor();
    wait::until("it is asked again while it drains", || systemd.stops() >= 2);
    assert!(project.logged("monitor_auto_stop_failed").is_empty());
    assert!(project.logged("monitor_auto_stop_triggered").is_empty());
    systemd.says("inactive");
    wait::until("the stop is recorded", || !project.logged("monitor_auto_stop_triggered").is_empty());
    assert!(project.logged("monitor_auto_stop_failed").is_empty());
    assert_eq!(project.logged("monitor_alert_emitted").len(), 1);
}
