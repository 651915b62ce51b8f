//! SIGKILL at the worst moment: nothing is lost, and never do two agents work on one tree.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use agent_runner::round::failpoint::Step;
use agent_runner::store::state::Read;
use agent_runner::store::{holder, orphan_state, status};

use super::project::{Project, WAITING_AGENT, exists, until_gone};
use crate::running::is_running;
use crate::wait;

/// An agent that notices a second one, and has a child that left its session.
fn exclusive() -> String {
    format!(
        "mkdir \"$HOME/working\" 2>/dev/null || {{ [ -e \"$HOME/may-be-stale\" ] || touch \"$HOME/two-agents\"; }}
setsid sh -c 'echo $$ >\"$HOME/escaped.new\"; mv \"$HOME/escaped.new\" \"$HOME/escaped.pid\"; exec sleep 600' &
{WAITING_AGENT}
kill \"$(cat \"$HOME/escaped.pid\")\"; rmdir \"$HOME/working\""
    )
}

#[test]
fn a_killed_round_takes_its_agent_along_before_the_next_one_starts() {
    let project = Project::new(&exclusive());
    let mut serve = project.serve(&[]);
    let (agent, escaped) = (project.wait_for_pid("agent.pid"), project.wait_for_pid("escaped.pid"));
    project.write("may-be-stale", "");
    std::fs::remove_file(project.path("agent.pid")).unwrap();
    kill(Pid::from_raw(project.round_pid()), Signal::SIGKILL).unwrap();
    let next = project.wait_for_pid("agent.pid");
    assert!(next != agent && !is_running(agent) && !is_running(escaped));
    serve.signal(Signal::SIGTERM);
    project.write("go", "");
    assert_eq!(serve.wait(), 0, "{}", serve.said());
    let numbers: Vec<_> = project.of_kind("round_start").iter().map(|r| r.round_num()).collect();
    assert_eq!(numbers, [Some(1), Some(2)]);
    assert_eq!(project.of_kind("round_end")[0].round_num(), Some(2));
    assert!(serve.said().contains("left"), "{}", serve.said());
}

#[test]
fn a_killed_serve_leaves_its_round_to_end_and_the_next_serve_waits_for_it() {
    let project = Project::new(&exclusive());
    let mut first = project.serve(&[]);
    let agent = project.wait_for_pid("agent.pid");
    first.signal(Signal::SIGKILL);
    assert_eq!(first.wait(), -9);
    let mut second = project.serve(&[]);
    // Its first round finds the lock held.
    project.wait_for("round_substrate_after", 1);
    assert!(is_running(agent));
    project.write("go", "");
    project.wait_for("round_end", 2);
    second.signal(Signal::SIGTERM);
    assert_eq!(second.wait(), 0, "{}", second.said());
    assert!(!project.path("two-agents").exists());
    let numbers: Vec<_> = project.of_kind("round_end").iter().map(|r| r.round_num()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

#[test]
fn serve_and_round_killed_together_leave_no_second_agent() {
    let project = Project::new(&exclusive());
    let mut first = project.serve(&[]);
    let agent = project.wait_for_pid("agent.pid");
    let round = project.round_pid();
    project.write("may-be-stale", "");
    std::fs::remove_file(project.path("agent.pid")).unwrap();
    first.signal(Signal::SIGKILL);
    kill(Pid::from_raw(round), Signal::SIGKILL).unwrap();
    assert_eq!(first.wait(), -9);
    until_gone(agent);
    let mut second = project.serve(&[]);
    project.wait_for_pid("agent.pid");
    second.signal(Signal::SIGTERM);
    project.write("go", "");
    assert_eq!(second.wait(), 0, "{}", second.said());
    let numbers: Vec<_> = project.of_kind("round_start").iter().map(|r| r.round_num()).collect();
    assert_eq!(numbers, [Some(1), Some(2)]);
    let escaped = project.wait_for_pid("escaped.pid");
    wait::until("the escaped child to end", || !is_running(escaped));
}

/// Fails when another agent is at work, leaves a child that left its session, and leaves its work uncommitted.
const ALONE: &str =
    "if [ -e \"$HOME/agent\" ] && grep -q '^State:.[^ZX]' /proc/\"$(cat \"$HOME/agent\")\"/status 2>/dev/null
then touch \"$HOME/two-agents\"; fi
echo $$ >\"$HOME/agent\"; setsid sleep 600 & sleep 0.2; echo \"$AGENT_RUNNER_ROUND_NUM\" >>found.txt";

/// Asserts that every state file can be read, then that a new Loop's round comes to a clean end.
fn goes_on(project: &Project, what: &str) {
    let logs = project.logs();
    assert!(!matches!(status::read(&logs), Read::Unusable(_)), "{what}");
    assert!(!matches!(orphan_state::read(&logs), Read::Unusable(_)), "{what}");
    assert!(!matches!(holder::read(&logs), Read::Unusable(_)), "{what}");
    let before = project.of_kind("round_end").len();
    // A round that outlived its Loop keeps the lock until it has ended.
    wait::until(what, || {
        let mut serve = project.serve(&["--once"]);
        assert_eq!(serve.wait(), 0, "{what}: {}", serve.said());
        project.of_kind("round_end").len() > before
    });
    assert!(!exists(&project.path("two-agents")), "{what}: two agents at once");
    let numbers: Vec<_> = project.of_kind("round_end").iter().map(|record| record.round_num()).collect();
    assert!(numbers.is_sorted(), "{what}: {numbers:?}");
    assert!(orphan_state::read(&logs).usable().is_some(), "{what}: the orphan is not findable");
    assert!(!exists(&logs.serve_pid()) && !exists(&logs.round_lock_holder()), "{what}");
    let agent = project.wait_for_pid("agent");
    until_gone(agent);
}

#[test]
fn a_round_killed_at_any_step_under_the_loop_is_followed_by_a_clean_one() {
    for step in Step::ALL {
        let project = Project::new(ALONE);
        let mut serve = project.serve_dying(step.name());
        assert_eq!(serve.wait(), 0, "{}: {}", step.name(), serve.said());
        goes_on(&project, step.name());
    }
}

#[test]
fn a_loop_killed_at_any_step_of_its_round_is_followed_by_a_clean_one() {
    for kind in [
        "host_cgroup_memory_limit",
        "round_substrate_before",
        "round_start",
        "agent_spawn",
        "agent_exit",
        "orphan_stashed",
        "round_end",
        "round_substrate_after",
    ] {
        let project = Project::new(ALONE);
        let mut serve = project.serve(&[]);
        project.wait_for(kind, 1);
        serve.signal(Signal::SIGKILL);
        assert_eq!(serve.wait(), -9, "{kind}");
        goes_on(&project, kind);
    }
}
