//! Everything that ends the Loop by itself, with its exit code.

use super::project::{Project, exists, heard};

#[test]
fn five_short_crashes_in_a_row_give_up_with_the_reason() {
    let project = Project::new("echo no such model; exit 1");
    let mut serve = project.serve(&[]);
    assert_eq!(serve.wait(), 75, "{}", serve.said());
    assert_eq!(project.of_kind("agent_exit").len(), 5);
    let told = project.of_kind("crash_loop");
    assert_eq!((told[0].int("consecutive"), told[0].int("exit_code")), (Some(5), Some(1)));
    assert_eq!(told[0].str("reason"), Some("no such model\n"));
    assert!(!exists(&project.logs().serve_pid()));
}

#[test]
fn five_fast_rounds_without_use_give_up_when_the_agent_is_known_to_report_it() {
    let project = Project::new("exit 0");
    project.seed(
        "{\"ts\": \"2026-01-01T00:00:00.000Z\", \"event\": \"agent_usage_recorded\", \"agent\": \"sh\", \"success\": true}\n",
    );
    let mut serve = project.serve(&[]);
    assert_eq!(serve.wait(), 75, "{}", serve.said());
    assert_eq!(project.of_kind("stalled_no_progress")[0].int("consecutive"), Some(5));
    assert_eq!(project.of_kind("round_end").len(), 5);
}

#[test]
fn a_broken_configuration_is_refused_at_the_start() {
    let project = Project::new("exit 0");
    project.write("work/agent-runner.toml", "schema_version = 1\n[agent]\ncomand = [\"sh\"]\n");
    let mut serve = project.serve(&[]);
    assert_eq!(serve.wait(), 78);
    assert!(serve.said().starts_with("agent-runner: config error: "), "{}", serve.said());
    assert!(serve.said().contains("migrate"), "{}", serve.said());
    assert!(!exists(project.logs().root()));
}

#[test]
fn what_no_round_could_run_with_ends_the_loop_before_it_is_ready() {
    let project = Project::new("exit 0");
    project.write("work/prompt.md", "too short");
    let (mut serve, manager) = project.serve_notified(&[]);
    assert_eq!(serve.wait(), 78, "{}", serve.said());
    assert!(serve.said().contains("no round can run: prompt_smoke_passes"), "{}", serve.said());
    assert!(heard(&manager).iter().all(|told| !told.contains("READY=1")));
    let kinds: Vec<String> = project.events().into_iter().map(|record| record.kind).collect();
    assert_eq!(kinds, ["smoke_check_failed", "config_broken"]);
}

#[test]
fn a_configuration_that_breaks_under_way_ends_the_loop_with_the_next_round() {
    let project =
        Project::configured("echo '[broken' >>agent-runner.toml", "[vcs]\ndirty_action = \"ignore\"");
    let mut serve = project.serve(&[]);
    assert_eq!(serve.wait(), 78, "{}", serve.said());
    let reason = project.of_kind("config_broken")[0].str("reason").unwrap_or_default().to_owned();
    assert!(reason.contains("agent-runner.toml"), "{reason}");
}

#[test]
fn fewer_than_one_round_is_a_configuration_error() {
    let project = Project::new("exit 0");
    assert_eq!(project.serve(&["--max-rounds", "0"]).wait(), 78);
    assert_eq!(project.serve(&["--max-rounds", "-1"]).wait(), 78);
    assert_eq!(project.of_kind("config_broken").len(), 2);
}

#[test]
fn overlapping_phases_of_two_agents_are_refused() {
    let phases = "[phases]\nlist = [\"a\", \"b\"]\n\
        [phases.a.agent]\ncommand = [\"true\"]\n[phases.a.schedule]\nrun_windows = [\"08:00-10:00\"]\n\
        [phases.b.agent]\ncommand = [\"false\"]\n[phases.b.schedule]\nrun_windows = [\"09:00-11:00\"]";
    let project = Project::configured("exit 0", phases);
    let mut serve = project.serve(&[]);
    assert_eq!(serve.wait(), 78);
    assert!(serve.said().contains("agent-runner doctor"), "{}", serve.said());
}

#[test]
fn the_agent_can_end_the_loop_and_an_old_request_does_not_count() {
    let script =
        "[ \"$AGENT_RUNNER_ROUND_NUM\" = 1 ] || echo all done >\"$AGENT_RUNNER_LOG_DIR/.agent-done\"";
    let project = Project::new(script);
    std::fs::create_dir(project.logs().root()).unwrap();
    project.write("logs/.agent-done", "old");
    assert_eq!(project.serve(&[]).wait(), 0);
    assert_eq!(project.of_kind("round_end").len(), 2);
    let told = project.of_kind("agent_self_terminated");
    assert_eq!(told[0].str("reason").map(str::trim), Some("all done"));
}

#[test]
fn a_log_dir_that_vanishes_does_not_end_the_loop() {
    let script = "[ -e \"$HOME/done\" ] || { touch \"$HOME/done\"; rm -rf \"$AGENT_RUNNER_LOG_DIR\"; }";
    let project = Project::new(script);
    let serve = project.serve(&[]);
    project.wait_for("round_end", 2);
    drop(serve);
}
