use std::fs;

use super::support::{Project, put};

fn fails(project: &Project, code: i64, check: &str) {
    let ran = project.run();
    assert_eq!(ran.code, code, "{}", ran.stderr);
    let line = format!("STARTUP FAIL: {check}: ");
    assert!(ran.stderr.lines().any(|found| found.starts_with(&line)), "{line} not in {}", ran.stderr);
    assert!(!project.has("round_start"));
    assert!(project.events().iter().all(|event| event.kind == "smoke_check_failed"));
    assert!(project.event("smoke_check_failed").str("reason").unwrap().contains(": "));
}

#[test]
fn a_work_dir_without_a_repository_is_permanent() {
    let project = Project::new("true");
    fs::remove_dir_all(project.work_dir().join(".git")).unwrap();
    fails(&project, 78, "work_dir_is_git_repo");
}

#[test]
fn a_missing_prompt_is_permanent() {
    let project = Project::new("true");
    fs::remove_file(project.work_dir().join("prompt.md")).unwrap();
    fails(&project, 78, "prompt_file_exists");
}

#[test]
fn a_prompt_like_an_option_is_permanent() {
    let project = Project::new("true");
    put(&project.work_dir().join("prompt.md"), &"-x".repeat(400));
    fails(&project, 78, "prompt_smoke_passes");
}

#[test]
fn a_command_that_is_not_there_is_permanent_and_path_is_the_agents() {
    let agent = "prompt_arg_template = [\"{prompt}\"]\nenv = { PATH = \"/nowhere\" }";
    fails(&Project::new("true").agent(agent), 78, "agent_cli_in_path");
}

#[test]
fn a_phase_that_overrides_the_agent_is_checked_by_name() {
    let phases = "[phases]\nlist = [\"a\"]\n[phases.a.agent]\ncommand = [\"no-such-agent-cli\"]\n";
    fails(&Project::new("true").more(phases), 78, "agent_cli_in_path:a");
}

#[test]
fn a_container_needs_an_open_stdin_and_the_log_dir_outside() {
    let agent = "prompt_arg_template = []\nprompt_delivery = \"stdin\"\nexec_prefix = [\"docker\", \"run\", \"image\"]";
    let project = Project::new("true").agent(agent);
    fails(&project, 78, "stdin_container_interactive");
}

#[test]
fn a_log_dir_that_cannot_be_made_heals_by_itself() {
    let project = Project::new("true");
    put(&project.root().join("logs"), "in the way");
    let ran = project.run();
    assert_eq!(ran.code, 76, "{}", ran.stderr);
    assert!(ran.stderr.contains("STARTUP FAIL: log_dir_writable: "), "{}", ran.stderr);
}

#[test]
fn the_battery_can_be_skipped() {
    let project = Project::new("true").env("AGENT_RUNNER_SKIP_STARTUP_CHECK", "Yes");
    put(&project.work_dir().join("prompt.md"), "short");
    assert_eq!(project.run().code, 0);
}

#[test]
fn a_broken_configuration_is_told_and_changes_nothing() {
    let project = Project::new("true").runtime("round_budget = 3");
    let ran = project.run();
    assert_eq!(ran.code, 78);
    assert!(ran.stderr.contains("round_budget"), "{}", ran.stderr);
    assert!(!project.layout().root().exists());
}

#[test]
fn a_phase_may_run_without_a_prompt() {
    let project = Project::new("echo \"phase $AGENT_RUNNER_PHASE\"")
        .more("[phases]\nlist = [\"bare\"]\n[phases.bare.prompt]\nfiles = []");
    let ran = project.run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(project.agent_log(), b"phase bare\n");
}
