//! SIGKILL at the worst moment: nothing is lost, and never do two agents work on one tree.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::project::{Project, WAITING_AGENT, is_running, until, until_gone};

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
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
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
    until("the escaped child to end", || (!is_running(escaped)).then_some(()));
}
