//! TERM drains, USR1 interrupts.

use nix::sys::signal::Signal;

use super::project::{Project, WAITING_AGENT, until_gone};
use crate::wait;

#[test]
fn a_term_lets_the_round_finish_and_starts_no_other() {
    let project = Project::new(WAITING_AGENT);
    let mut serve = project.serve(&[]);
    project.wait_for_pid("agent.pid");
    serve.signal(Signal::SIGTERM);
    serve.signal(Signal::SIGTERM);
    wait::until("the signal to be taken", || has_taken_all(serve.pid()));
    assert!(project.of_kind("agent_exit").is_empty());
    project.write("go", "");
    assert_eq!(serve.wait(), 0, "{}", serve.said());
    assert_eq!(project.of_kind("agent_exit")[0].str("exit_cause"), Some("clean"));
    assert_eq!(project.of_kind("round_end").len(), 1);
    assert_eq!(project.of_kind("round_start").len(), 1);
}

#[test]
fn a_cancel_interrupts_the_agent_and_ends_the_loop() {
    let script = format!("trap 'echo interrupted >\"$HOME/trapped\"; exit 7' INT\n{WAITING_AGENT}");
    let project = Project::new(&script);
    let mut serve = project.serve(&[]);
    let agent = project.wait_for_pid("agent.pid");
    serve.signal(Signal::SIGUSR1);
    assert_eq!(serve.wait(), 0, "{}", serve.said());
    until_gone(agent);
    assert_eq!(project.read("trapped").trim(), "interrupted");
    assert_eq!(project.of_kind("round_cancelled").len(), 1);
    assert_eq!(project.of_kind("round_start").len(), 1);
}

#[test]
fn a_cancel_between_rounds_is_a_stop() {
    let project = Project::configured("exit 0", "restart_delay_s = 3000");
    let (mut serve, manager) = project.serve_notified(&[]);
    super::project::until_told(&manager, "between rounds");
    serve.signal(Signal::SIGUSR1);
    assert_eq!(serve.wait(), 0);
    assert!(project.of_kind("round_cancelled").is_empty());
}

/// Returns whether no signal waits to be taken.
fn has_taken_all(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    ["SigPnd:\t0000000000000000", "ShdPnd:\t0000000000000000"].iter().all(|line| status.contains(line))
}
