use super::support::Project;
use crate::wait;

const GRACE: &str = "max_grace_after_result_s = 1\nround_budget_s = 60";

#[test]
fn an_agent_that_stays_after_its_result_is_ended() {
    let project = Project::new("echo '{\"type\":\"result\"}'; exec sleep 600").runtime(GRACE);
    assert_eq!(project.run().code, 0);
    let exit = project.event("agent_exit");
    assert_eq!((exit.str("exit_cause"), exit.bool("timed_out")), (Some("grace_kill"), Some(true)));
    let kill = project.event("round_grace_kill");
    assert_eq!(
        (kill.int("grace_s"), kill.get("live_children").unwrap().to_string()),
        (Some(1), "[]".to_owned())
    );
    project.assert_nothing_is_left();
}

#[test]
fn a_dirty_tree_of_an_agent_that_stayed_is_stashed() {
    let project =
        Project::new("echo changed >> file.txt; echo '\"type\":\"result\"'; exec sleep 600").runtime(GRACE);
    project.run();
    assert!(project.has("orphan_stashed"));
    assert_eq!(project.git(&["status", "--porcelain"]), "");
}

#[test]
fn without_the_marker_nobody_is_ended_early() {
    let project = Project::new("echo '\"type\": \"result\"'; sleep 2.5").runtime(GRACE);
    project.run();
    assert_eq!(project.event("agent_exit").str("exit_cause"), Some("clean"));
}

#[test]
fn a_child_that_works_extends_the_grace_once_and_its_end_ends_it() {
    let script = "echo '\"type\":\"result\"'; sleep 3 & wait; exec tail -f /dev/null";
    let project = Project::new(script).runtime(GRACE);
    project.run();
    let extended: Vec<_> =
        project.events().into_iter().filter(|event| event.kind == "round_grace_extended").collect();
    assert_eq!(extended.len(), 1);
    let children = extended[0].get("live_children").unwrap().as_array().unwrap().clone();
    assert_eq!(children[0]["name"], "sleep");
    assert_eq!(children[0].as_object().unwrap().len(), 2, "a name and a pid, nothing else");
    assert_eq!(project.event("agent_exit").str("exit_cause"), Some("grace_kill"));
    project.assert_nothing_is_left();
}

#[test]
fn a_helper_named_by_a_pattern_does_not_extend_the_grace() {
    let script = "echo '\"type\":\"result\"'; sleep 611 & sleep 600";
    let runtime = format!("{GRACE}\ngrace_kill_ignore_patterns = [\"sleep 6\"]");
    let project = Project::new(script).runtime(&runtime);
    project.run();
    assert!(!project.has("round_grace_extended"));
    assert!(project.has("round_grace_kill"));
}

#[test]
fn a_marker_printed_late_and_in_pieces_is_found() {
    let script = "sleep 1.2; printf '\"type\":\"re'; sleep 1.2; printf 'sult\"'; exec sleep 600";
    let project = Project::new(script).runtime(GRACE);
    let mut round = project.start();
    wait::until("the end of the grace", || project.has("round_grace_kill"));
    assert_eq!(super::support::end_of(&mut round), 0);
}
