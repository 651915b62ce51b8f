use agent_runner::store::{holder, status};
use nix::sys::signal::Signal;

use super::support::{Project, contains, end_of, signal};
use crate::wait;

const TRAPPED: &str = "trap 'echo int; exit 3' INT; trap 'echo term; exit 4' TERM; echo up > \"$TMPDIR/up\"; while :; do sleep 0.05; done";

#[test]
fn a_terminated_round_ends_its_agent_and_leaves_the_state_alone() {
    for stop in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let project = Project::new(TRAPPED);
        let mut round = project.start();
        project.wait_for_file(&project.root().join("up"));
        signal(&round, stop);
        assert_eq!(end_of(&mut round), 130);
        assert!(project.agent_log().ends_with(b"term\n"));
        assert_eq!(project.kinds(), ["round_start", "agent_spawn"]);
        assert_eq!(status::read(&project.layout()).usable(), None);
        project.assert_nothing_is_left();
    }
}

#[test]
fn an_agent_with_a_cooperative_stop_gets_its_own_signal() {
    let project = Project::new(TRAPPED).env("AGENT_RUNNER_COOPERATIVE_STOP_SIGNAL", "SIGINT");
    let log_dir = project.layout().root().display().to_string();
    let project = project.env("AGENT_RUNNER_LOG_DIR", &log_dir);
    let mut round = project.start();
    project.wait_for_file(&project.root().join("up"));
    signal(&round, Signal::SIGTERM);
    assert_eq!(end_of(&mut round), 130);
    assert!(project.agent_log().ends_with(b"int\n"));
}

#[test]
fn a_second_term_neither_shortens_the_grace_nor_skips_the_kill() {
    let script = "trap 'echo slow; sleep 1; echo saved; exit 0' TERM; sleep 600 & echo up > \"$TMPDIR/up\"; while :; do sleep 0.05; done";
    let project = Project::new(script);
    let mut round = project.start();
    project.wait_for_file(&project.root().join("up"));
    signal(&round, Signal::SIGTERM);
    wait::until("what the agent prints", || contains(&project.agent_log(), "slow\n"));
    signal(&round, Signal::SIGTERM);
    assert_eq!(end_of(&mut round), 130);
    assert!(project.agent_log().ends_with(b"slow\nsaved\n"));
    project.assert_nothing_is_left();
}

#[test]
fn a_cancelled_round_is_interrupted_and_comes_to_its_end() {
    let project = Project::new(TRAPPED);
    let mut round = project.start();
    project.wait_for_file(&project.root().join("up"));
    signal(&round, Signal::SIGUSR1);
    assert_eq!(end_of(&mut round), 1);
    assert_eq!(project.event("agent_exit").int("exit_code"), Some(3));
    assert!(project.has("round_end"));
    project.assert_nothing_is_left();
}

#[test]
fn a_cancelled_agent_that_does_not_care_is_ended_at_the_reap_grace() {
    let script = "trap '' INT; echo up > \"$TMPDIR/up\"; while :; do sleep 0.05; done";
    let project = Project::new(script).env("AGENT_RUNNER_REAP_GRACE_S", "0.5");
    let log_dir = project.layout().root().display().to_string();
    let project = project.env("AGENT_RUNNER_LOG_DIR", &log_dir);
    let mut round = project.start();
    project.wait_for_file(&project.root().join("up"));
    signal(&round, Signal::SIGUSR1);
    assert_eq!(end_of(&mut round), 1);
    let exit = project.event("agent_exit");
    assert_eq!((exit.str("exit_cause"), exit.bool("timed_out")), (Some("signal:SIGTERM"), Some(false)));
    project.assert_nothing_is_left();
}

#[test]
fn a_second_round_is_refused_and_told_who_holds_the_lock() {
    let project = Project::new(TRAPPED);
    let mut round = project.start();
    project.wait_for_file(&project.root().join("up"));
    let refused = project.run();
    assert_eq!(refused.code, 76);
    assert!(refused.stderr.contains("agent-runner.lock"), "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("pid {}", round.pid())), "{}", refused.stderr);
    let holder = holder::read(&project.layout()).usable().unwrap();
    assert_eq!((holder.pid, holder.round_num), (round.pid(), Some(1)));
    assert!(holder.agent().unwrap().is_alive());
    signal(&round, Signal::SIGTERM);
    end_of(&mut round);
    project.assert_nothing_is_left();
}
