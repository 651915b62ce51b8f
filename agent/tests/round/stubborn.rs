use super::support::Project;
use crate::wait;

/// Seconds of wall clock for agents that do not end by themselves.
const SHORT: &str = "round_budget_s = 1";

fn ends_in_time(script: &str) -> Project {
    let project = Project::new(script).runtime(SHORT).env("AGENT_RUNNER_REAP_GRACE_S", "0.5");
    let project = project.handed();
    let ran = project.run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let exit = project.event("agent_exit");
    assert_eq!((exit.bool("timed_out"), exit.str("exit_cause")), (Some(true), Some("timeout")));
    assert!(project.event("round_timeout_kill").str("reason").unwrap().contains("round_budget_s"));
    assert!(project.has("round_end"));
    project.assert_nothing_is_left();
    project
}

trait Handed {
    /// Makes the round believe what the environment hands down.
    fn handed(self) -> Self;
}

impl Handed for Project {
    fn handed(self) -> Project {
        let log_dir = self.layout().root().display().to_string();
        self.env("AGENT_RUNNER_LOG_DIR", &log_dir)
    }
}

#[test]
fn an_agent_that_ignores_term_is_killed() {
    let project = ends_in_time("trap '' TERM INT HUP; while :; do sleep 1; done");
    assert_eq!(project.event("agent_exit").int("exit_code"), Some(-9));
}

#[test]
fn an_agent_that_ends_on_term_gets_the_time_for_it() {
    let project = ends_in_time("trap 'echo saved; exit 7' TERM; while :; do sleep 0.05; done");
    assert_eq!(project.event("agent_exit").int("exit_code"), Some(7));
    assert!(project.agent_log().ends_with(b"saved\n"));
}

#[test]
fn an_agent_that_stopped_itself_is_killed() {
    let project = ends_in_time("kill -STOP $$");
    // CONT lets it die by TERM.
    assert_eq!(project.event("agent_exit").int("exit_code"), Some(-15));
}

#[test]
fn a_stopped_agent_that_ignores_term_is_killed() {
    ends_in_time("trap '' TERM; kill -STOP $$; while :; do kill -STOP $$; done");
}

#[test]
fn what_left_the_session_goes_with_a_timed_out_agent() {
    ends_in_time(
        "setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' & setsid setsid sleep 600 & sleep 600",
    );
}

#[test]
fn what_an_agent_leaves_behind_goes_with_it_after_a_clean_exit() {
    let script = "sleep 600 &\n\
                  setsid sleep 600 &\n\
                  (setsid sh -c 'sleep 600 & sleep 600' &)\n\
                  (trap '' TERM; while :; do sleep 1; done) &\n\
                  sh -c 'kill -STOP $$' &\n\
                  sleep 0.2; exit 0";
    let project = Project::new(script);
    assert_eq!(project.run().code, 0);
    assert_eq!(project.event("agent_exit").str("exit_cause"), Some("clean"));
    project.assert_nothing_is_left();
}

#[test]
fn children_that_fork_on_are_chased_to_the_last() {
    let script = "cat > \"$TMPDIR/hydra\" <<'X'\ntrap '' TERM\nn=$1\n[ \"$n\" -gt 0 ] || exit 0\nsetsid sh \"$TMPDIR/hydra\" $((n-1)) &\nsleep 0.02\nX\n\
                  setsid sh \"$TMPDIR/hydra\" 400 & sleep 0.1";
    let project = Project::new(script);
    assert_eq!(project.run().code, 0);
    project.assert_nothing_is_left();
}

#[test]
fn an_agent_that_never_reads_its_stdin_is_bounded_by_the_wall_clock() {
    let project = Project::new("exec sleep 600")
        .agent("prompt_arg_template = []\nprompt_delivery = \"stdin\"")
        .runtime(SHORT);
    super::support::put(&project.work_dir().join("prompt.md"), &"never read ".repeat(100_000));
    assert_eq!(project.run().code, 0);
    assert_eq!(project.event("agent_exit").str("exit_cause"), Some("timeout"));
    project.assert_nothing_is_left();
}

#[test]
fn an_agent_that_closes_its_stdin_is_no_error() {
    let project =
        Project::new("exec <&-; echo fine").agent("prompt_arg_template = []\nprompt_delivery = \"stdin\"");
    super::support::put(&project.work_dir().join("prompt.md"), &"not wanted ".repeat(100_000));
    project.git(&["commit", "--quiet", "--all", "-m", "prompt"]);
    assert_eq!(project.run().code, 0);
    assert_eq!(project.agent_log(), b"fine\n");
}

#[test]
fn an_agent_of_a_killed_round_dies_with_it() {
    let project = Project::new("echo $$ > \"$TMPDIR/pid\"; exec sleep 600");
    let mut round = project.start();
    project.wait_for_file(&project.root().join("pid"));
    super::support::signal(&round, nix::sys::signal::Signal::SIGKILL);
    assert_eq!(super::support::end_of(&mut round), -9);
    wait::until("the end of all", || project.alive().is_empty());
}

#[test]
fn what_a_killed_round_left_is_ended_before_the_next_agent_starts() {
    let script = "if [ -e \"$TMPDIR/second\" ]; then cat \"$TMPDIR/stray\"; exit 0; fi\n\
                  setsid sh -c 'trap \"\" TERM; echo $$ > \"$TMPDIR/stray\"; while :; do sleep 1; done' &\n\
                  sleep 600 & wait";
    let project = Project::new(script);
    let mut round = project.start();
    project.wait_for_file(&project.root().join("stray"));
    wait::value("the agent's record", || {
        let holder = agent_runner::store::holder::read(&project.layout()).usable()?;
        holder.agent_pid
    });
    super::support::signal(&round, nix::sys::signal::Signal::SIGKILL);
    super::support::end_of(&mut round);
    wait::until("what it left", || project.alive().len() >= 2);
    super::support::put(&project.root().join("second"), "x");
    let ran = project.run();
    assert_eq!(ran.code, 0);
    assert!(ran.stderr.contains("ended what a dead round left"), "{}", ran.stderr);
    project.assert_nothing_is_left();
}
