//! Pauses end at once for a signal and for the stop file, and cost no round.

use nix::sys::signal::Signal;

use super::project::{Project, until_told};
use crate::wait;

const FAR: &str = "{\"ts\": \"2026-01-01T00:00:00.000Z\", \"event\": \"transient_error_detected\", \
    \"classification\": \"rate_limit_account\", \"agent\": \"sh\", \"reset_at_epoch\": RESET, \"round_num\": 1}\n";

fn throttled(project: &Project) {
    let reset = jiff::Timestamp::now().as_second() + 20_000;
    project.seed(&FAR.replace("RESET", &reset.to_string()));
}

#[test]
fn a_stop_file_ends_the_delay_at_once() {
    let project = Project::configured("exit 0", "restart_delay_s = 3000\nstop_file = \"../STOP\"");
    let (mut serve, manager) = project.serve_notified(&[]);
    until_told(&manager, "between rounds");
    project.write("STOP", "enough for today");
    assert_eq!(serve.wait(), 0, "{}", serve.said());
    let told = project.of_kind("stop_file_detected");
    assert_eq!(
        (told[0].str("content"), told[0].int("rounds_completed")),
        (Some("enough for today"), Some(1))
    );
    assert!(project.path("STOP").exists());
}

#[test]
fn a_term_ends_the_delay_at_once() {
    let project = Project::configured("exit 0", "restart_delay_s = 3000");
    let (mut serve, manager) = project.serve_notified(&[]);
    until_told(&manager, "between rounds");
    serve.signal(Signal::SIGTERM);
    assert_eq!(serve.wait(), 0);
}

#[test]
fn a_term_ends_the_back_off_at_once_and_the_throttle_survives() {
    let project = Project::new("exit 0");
    throttled(&project);
    let (mut serve, manager) = project.serve_notified(&[]);
    until_told(&manager, "throttled");
    serve.signal(Signal::SIGTERM);
    assert_eq!(serve.wait(), 0, "{}", serve.said());
    assert!(project.of_kind("transient_error_recovered").is_empty());
    assert!(project.of_kind("round_start").is_empty());
}

#[test]
fn a_throttle_ends_the_loop_or_is_ignored_when_configured_so() {
    let stop = Project::configured("exit 0", "transient_error_action = \"stop\"");
    throttled(&stop);
    assert_eq!(stop.serve(&[]).wait(), 0);
    assert_eq!(stop.of_kind("agent_self_terminated")[0].str("reason"), Some("rate_limit"));
    let skip = Project::configured("exit 0", "transient_error_action = \"skip\"");
    throttled(&skip);
    assert_eq!(skip.serve(&["--once"]).wait(), 0);
    assert_eq!(skip.of_kind("round_end").len(), 1);
}

#[test]
fn a_closed_schedule_pauses_until_the_stop_file_and_can_be_ignored() {
    let closed = "stop_file = \"../STOP\"\n[schedule]\ntimezone = \"UTC\"\npause_windows = [\"00:00-24:00\"]";
    let project = Project::configured("exit 0", closed);
    let mut serve = project.serve(&[]);
    let told = project.wait_for("schedule_paused", 1);
    assert_eq!((told[0].str("active_window"), told[0].str("resume_at")), (Some("00:00-24:00"), Some("")));
    project.write("STOP", "");
    assert_eq!(serve.wait(), 0, "{}", serve.said());
    assert!(project.of_kind("round_start").is_empty() && project.of_kind("schedule_resumed").is_empty());
    std::fs::remove_file(project.path("STOP")).unwrap();
    assert_eq!(project.serve(&["--once", "--ignore-schedule"]).wait(), 0);
    assert_eq!(project.of_kind("round_end").len(), 1);
}

#[test]
fn the_service_manager_hears_ready_and_stopping() {
    let project = Project::new("exit 0");
    let (mut serve, manager) = project.serve_notified(&["--once"]);
    for expected in ["READY=1", "STATUS=round 1 runs, 0 done", "STOPPING=1"] {
        until_told(&manager, expected);
    }
    assert_eq!(serve.wait(), 0);
}

#[test]
fn a_running_round_wakes_nobody() {
    let project = Project::new(super::project::WAITING_AGENT);
    let serve = project.serve(&[]);
    project.wait_for_pid("agent.pid");
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", serve.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    let before = switches();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(4);
    wait::until("the time", || std::time::Instant::now() >= end);
    // One memory tick may fall into it.
    assert!(switches() <= before + 1);
}
