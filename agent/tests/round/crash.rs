use agent_runner::round::failpoint::Step;
use agent_runner::store::state::Read;
use agent_runner::store::{holder, orphan_state, status};

use super::support::{Project, put};
use crate::wait;

/// An agent that says who it is and fails when another one is there.
const SCRIPT: &str = "if [ -e \"$TMPDIR/agent\" ] && grep -q '^State:.[^ZX]' /proc/\"$(cat \"$TMPDIR/agent\")\"/status; then touch \"$TMPDIR/two\"; fi\n\
                      echo $$ > \"$TMPDIR/agent\"\n\
                      setsid sleep 600 &\n\
                      echo \"round $AGENT_RUNNER_ROUND_NUM\" >> file.txt\n";

fn check(step: Step) {
    let name = step.name();
    let mut project = Project::new(SCRIPT).env("AGENT_RUNNER_FAILPOINT", name);
    // The operator's own, uncommitted.
    let edited = format!("Edited by hand.\n{}", "y".repeat(600));
    put(&project.work_dir().join("prompt.md"), &edited);
    assert_eq!(project.run().code, -9, "{name}");
    // pdeathsig is asynchronous; what survives it is the next round's to end.
    let layout = project.layout();
    assert!(!matches!(status::read(&layout), Read::Unusable(_)), "{name}");
    assert!(!matches!(orphan_state::read(&layout), Read::Unusable(_)), "{name}");
    assert!(!matches!(holder::read(&layout), Read::Unusable(_)), "{name}");
    let finished = status::read(&layout).usable().map_or(0, |status| status.round_num);
    let reported = project.events().len();

    project.set_env("AGENT_RUNNER_FAILPOINT", "none");
    let ran = project.run();
    assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
    assert!(!project.root().join("two").exists(), "{name}: two agents at once");
    assert!(project.events().len() > reported, "{name}");
    assert_eq!(project.event("round_end").round_num(), Some(finished + 1), "{name}");
    assert_eq!(std::fs::read_to_string(project.work_dir().join("prompt.md")).unwrap(), edited, "{name}");
    // What either agent wrote is in a stash that is named, and nothing is in the tree.
    assert!(orphan_state::read(&layout).usable().is_some(), "{name}");
    let orphans = orphan_state::read(&layout).usable().unwrap();
    let named: Vec<_> = [&orphans.newest]
        .into_iter()
        .chain(&orphans.earlier)
        .filter_map(|one| one.stashed_ref.clone())
        .collect();
    for sha in project.git(&["stash", "list", "--format=%H"]).lines() {
        assert!(named.contains(&sha.to_owned()), "{name}: nothing names {sha}");
    }
    wait::until("the end of all", || project.alive().is_empty());
    project.assert_nothing_is_left();
}

#[test]
fn a_round_killed_at_any_step_is_followed_by_a_clean_one() {
    for &step in Step::ALL.iter().filter(|&&step| step != Step::InHook) {
        check(step);
    }
}
