use std::fs;

use super::support::{Project, put};

fn project(script: &str, runtime: &str) -> Project {
    let project = Project::new(script);
    let (work, logs) = (project.work_dir(), project.layout().root().to_owned());
    let ledger = logs.join("ledger.md");
    // The prompt files are given as a list, so the single one of the template has to go.
    let goal = format!(
        "files = [\"{}/prompt.md\", \"{}\"]\n[goal]\nledger = \"{}\"\n\
         [[goal.checks]]\nname = \"lines\"\ncmd = [\"sh\", \"-c\", \"setsid sleep 600 >/dev/null 2>&1 & wc -l < file.txt; exit 1\"]\n\
         [[goal.checks]]\nname = \"gone\"\ncmd = [\"/no/such/check\"]\n",
        work.display(),
        ledger.display(),
        ledger.display()
    );
    project.more(&goal).runtime(runtime)
}

#[test]
fn checks_run_before_the_tree_is_touched() {
    let project = project("echo four >> file.txt", "");
    let ran = project.run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let checks: Vec<_> = project.events().into_iter().filter(|event| event.kind == "goal_check").collect();
    assert_eq!(
        (checks[0].str("name"), checks[0].bool("satisfied"), checks[0].float("value")),
        (Some("lines"), Some(false), Some(4.0))
    );
    assert!(checks[1].str("error").is_some());
    project.assert_nothing_is_left();
    let kinds = project.kinds();
    let place = |kind: &str| kinds.iter().position(|found| found == kind).unwrap();
    assert!(place("goal_check") < place("dirty_detected"));
}

#[test]
fn a_dry_run_only_names_them() {
    let project = project("true", "dry_run = true");
    project.run();
    let check = project.event("goal_check");
    assert_eq!((check.bool("skipped"), check.get("satisfied")), (Some(true), None));
}

#[test]
fn a_treadmill_is_written_into_the_ledger_once_and_reaches_the_agent() {
    let project = project("printf '%s' \"$1\"; date +%N > busy.txt", "");
    for _ in 0..3 {
        project.run();
    }
    assert!(!project.has("goal_assessment"));
    project.run();
    assert_eq!(project.event("goal_assessment").str("confidence"), Some("medium"));
    let ledger = fs::read_to_string(project.layout().root().join("ledger.md")).unwrap();
    assert!(ledger.starts_with("## 20") && ledger.contains("Unmet: gone, lines."), "{ledger}");
    assert!(super::support::contains(&project.agent_log(), "Confidence: medium"));
    project.run();
    let told = project.kinds().into_iter().filter(|kind| kind == "goal_assessment").count();
    assert_eq!(told, 1);
}

#[test]
fn a_ledger_that_cannot_be_written_ends_no_round() {
    let project = project("date +%N > busy.txt", "");
    for _ in 0..3 {
        project.run();
    }
    put(&project.root().join("x"), "");
    fs::create_dir(project.layout().root().join("ledger.md")).unwrap();
    // A folder in the ledger's place cannot be read as a prompt file either.
    let ran = project.env("AGENT_RUNNER_SKIP_STARTUP_CHECK", "1").run();
    assert!(ran.stderr.contains("cannot write the goal ledger"), "{}", ran.stderr);
}
