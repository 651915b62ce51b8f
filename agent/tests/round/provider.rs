use std::fs;

use super::support::{Project, put};

/// A project whose agent is called `claude`.
fn claude(script: &str) -> Project {
    let project = Project::new("true");
    let program = project.root().join("claude");
    put(&program, &format!("#!/bin/sh\n{script}"));
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // The first word of the command is the agent's identity.
    let phase =
        format!("[phases]\nlist = [\"p\"]\n[phases.p.agent]\ncommand = [\"{}\"]\n", program.display());
    project.more(&phase)
}

const RESULT: &str = r#"{"type":"result","is_error":false,"result":"done","duration_ms":41000,"total_cost_usd":0.42,"usage":{"input_tokens":12,"output_tokens":340}}"#;

#[test]
fn usage_is_recorded_after_the_round_has_ended() {
    let project = claude(&format!("echo '{RESULT}'"));
    let ran = project.run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let usage = project.event("agent_usage_recorded");
    assert_eq!(
        (usage.str("agent"), usage.int("output_tokens"), usage.bool("success")),
        (Some("claude"), Some(340), Some(true))
    );
    assert_eq!(project.kinds().last().unwrap(), "agent_usage_recorded");
}

#[test]
fn output_that_no_rule_understands_is_told_once_for_a_version_of_the_agent() {
    let project = claude("echo '{\"kind\":\"done\"}'");
    let told = |project: &Project| {
        project.kinds().iter().filter(|kind| *kind == "provider_output_unrecognised").count()
    };
    project.run();
    project.run();
    assert_eq!(told(&project), 1);
    let program = project.root().join("claude");
    assert!(project.event("provider_output_unrecognised").str("program").unwrap().contains("claude"));
    put(&program, "#!/bin/sh\n# the next version\necho '{\"kind\":\"done\"}'");
    project.run();
    assert_eq!(told(&project), 2);
    put(&program, &format!("#!/bin/sh\necho '{RESULT}'"));
    project.run();
    put(&program, "#!/bin/sh\n# the next version\necho '{\"kind\":\"done\"}'");
    project.run();
    assert_eq!(told(&project), 3);
}

#[test]
fn usage_is_read_from_a_log_that_the_agent_deleted() {
    let project = claude(&format!("echo '{RESULT}'; rm \"$AGENT_RUNNER_LOG_DIR\"/rounds/*"));
    project.run();
    assert!(project.has("agent_usage_recorded"));
}

#[test]
fn a_parser_that_is_switched_off_says_nothing() {
    let project = claude(&format!("echo '{RESULT}'"));
    let text = "[plugins]\ndisable = [\"claude\"]\n";
    let phase = format!(
        "[phases]\nlist = [\"p\"]\n[phases.p.agent]\ncommand = [\"{}\"]\n",
        project.root().join("claude").display()
    );
    let project = project.more(&format!("{text}{phase}"));
    project.run();
    assert!(!project.has("agent_usage_recorded"));
}

#[test]
fn a_parser_that_crashes_costs_its_events_and_not_the_round() {
    let project = claude(&format!("echo '{RESULT}'")).env("AGENT_RUNNER_FAILPOINT", "in_hook");
    let ran = project.run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let failed = project.event("hook_failed");
    assert_eq!((failed.str("hook_name"), failed.str("hook_kind")), (Some("claude"), Some("post_round")));
    assert_eq!((failed.str("error_type"), failed.str("error_message")), (Some("crash"), Some("SIGKILL")));
    assert!(!project.has("agent_usage_recorded"));
    project.assert_nothing_is_left();
}
