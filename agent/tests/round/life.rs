use std::fs;

use agent_runner::store::{metrics, orphan_state, status};
use serde_json::{Value, json};

use super::support::{Project, contains};

fn json_of(path: &std::path::Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_clean_round_writes_its_events_and_files_in_order() {
    let project = Project::new("echo out; echo err >&2");
    let ran = project.run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(project.kinds(), ["round_start", "agent_spawn", "agent_exit", "round_end"]);
    let exit = project.event("agent_exit");
    assert_eq!(
        (exit.int("exit_code"), exit.str("exit_cause"), exit.bool("timed_out")),
        (Some(0), Some("clean"), Some(false))
    );
    assert_eq!(project.event("agent_spawn").int("timeout_s"), Some(1800));
    assert_eq!(project.agent_log(), b"out\nerr\n");

    let status = status::read(&project.layout()).usable().unwrap();
    assert_eq!((status.round_num, status.last_exit_code, status.phase_index), (1, Some(0), Some(0)));
    let samples = metrics::newest_n(&project.layout(), 5);
    let events: Vec<&str> = samples.iter().map(|sample| sample.event.as_str()).collect();
    assert_eq!(events, ["round_end", "round_start"]);
    let context = json_of(&project.layout().round_context());
    assert_eq!((&context["round_num"], context.get("previous")), (&json!(1), None));
    project.assert_nothing_is_left();
}

#[test]
fn the_next_round_knows_the_previous_one_and_the_digest_has_not_changed() {
    let project = Project::new("exit 3");
    assert_eq!(project.run().code, 1);
    assert_eq!(project.event("round_start").bool("config_changed"), Some(true));
    assert_eq!(project.event("round_start").str("config_vcs_dirty_action"), Some("stash"));
    project.run();
    let start = project.event("round_start");
    assert_eq!((start.round_num(), start.bool("config_changed")), (Some(2), Some(false)));
    assert_eq!(start.get("config_prompt_files"), None);
    let context = json_of(&project.layout().round_context());
    assert_eq!(context["previous"]["exit_code"], json!(3));
    assert_eq!(context["previous"]["had_dirty_tree"], json!(false));
}

#[test]
fn the_prompt_reaches_the_agent_as_an_argument_with_the_context_before_it() {
    let project = Project::new("printf %s \"$2\"").agent("prompt_arg_template = [\"-p\", \"{prompt}\"]");
    project.run();
    let log = String::from_utf8(project.agent_log()).unwrap();
    assert!(log.starts_with("```json round-context\n{\n  \"round_num\": 1,\n"), "{log:.60}");
    let (context, prompt) = log.split_once("\n```\n\n").unwrap();
    assert!(prompt.starts_with("Do the work.\n"));
    assert_eq!(
        context.strip_prefix("```json round-context\n").unwrap(),
        fs::read_to_string(project.layout().round_context()).unwrap()
    );
}

#[test]
fn the_prompt_reaches_the_agent_on_stdin_and_ends() {
    let project = Project::new("cat").agent("prompt_arg_template = []\nprompt_delivery = \"stdin\"");
    super::support::put(&project.work_dir().join("prompt.md"), &"long prompt ".repeat(40_000));
    project.git(&["commit", "--quiet", "--all", "-m", "prompt"]);
    project.run();
    assert!(project.agent_log().ends_with(b"long prompt "));
    assert!(project.agent_log().len() > 480_000);
}

#[test]
fn the_agents_environment_is_ours_then_what_it_is_told_then_the_operators() {
    let project = Project::new("env; pwd -P")
        .agent("prompt_arg_template = [\"{prompt}\"]\nenv = { MINE = \"7\", PWD = \"/x\", AGENT_RUNNER_PHASE = \"p\" }")
        .env("OURS", "1");
    project.run();
    let log = project.agent_log();
    let work = fs::canonicalize(project.work_dir()).unwrap();
    for line in [
        format!("AGENT_RUNNER_LOG_DIR={}\n", project.layout().root().display()),
        "AGENT_RUNNER_ROUND_NUM=1\n".to_owned(),
        "AGENT_RUNNER_PHASE=p\n".to_owned(),
        "MINE=7\n".to_owned(),
        "OURS=1\n".to_owned(),
        format!("PWD={}\n", work.display()),
        format!("\n{}\n", work.display()),
    ] {
        assert!(contains(&log, &line), "{line} not in {}", String::from_utf8_lossy(&log));
    }
}

#[test]
fn an_agent_that_dies_by_a_signal_failed_with_its_name() {
    let project = Project::new("kill -KILL $$");
    assert_eq!(project.run().code, 1);
    let exit = project.event("agent_exit");
    assert_eq!((exit.int("exit_code"), exit.str("exit_cause")), (Some(-9), Some("signal:SIGKILL")));
    assert!(!project.has("agent_network_blip"));
}

#[test]
fn a_failed_round_names_network_trouble() {
    let project = Project::new("echo 'curl: (7) Connection refused'; exit 1");
    assert_eq!(project.run().code, 1);
    assert_eq!(project.event("agent_network_blip").str("matched"), Some("Connection refused"));
}

#[test]
fn phases_rotate_and_may_be_asked_for() {
    let phases = "[phases]\nlist = [\"plan\", \"build\"]\n[phases.build]\nround_budget_s = 77\n";
    let project = Project::new("true").more(phases);
    project.run();
    assert_eq!(project.event("round_start").str("phase"), Some("plan"));
    project.run();
    assert_eq!(project.event("round_start").str("phase"), Some("build"));
    assert_eq!(project.event("agent_spawn").int("timeout_s"), Some(77));
    assert_eq!(status::read(&project.layout()).usable().unwrap().phase_index, Some(1));
    project.run_with(&["--phase", "build"]);
    assert_eq!(project.event("round_start").str("phase"), Some("build"));
    let refused = project.run_with(&["--phase", "ship"]);
    assert_eq!(refused.code, 78, "{}", refused.stderr);
    project.assert_nothing_is_left();
}

#[test]
fn an_unusable_status_is_told_and_the_numbers_go_on_from_the_logs() {
    let project = Project::new("true");
    fs::create_dir_all(project.layout().root()).unwrap();
    super::support::put(&project.layout().status(), "{\"round_num\": true}");
    super::support::put(&project.layout().round_log(41), "");
    project.run();
    assert_eq!(project.kinds()[0], "status_recovered");
    assert_eq!(project.event("round_end").round_num(), Some(42));
    assert_eq!(orphan_state::read(&project.layout()).usable(), None);
}

#[test]
fn a_running_round_gives_signs_of_life_and_hardly_wakes() {
    let script = "echo ready; exec sleep 4";
    let project = Project::new(script).more("[monitor]\nround_progress_interval_s = 2\n");
    let mut round = project.start();
    crate::wait::until("the progress", || project.has("round_progress"));
    let switches = |pid: i32| -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
        line.split_whitespace().last().unwrap().parse().unwrap()
    };
    let before = switches(round.pid());
    // Three quarters of a second in which nothing happens.
    let quiet = std::time::Instant::now() + std::time::Duration::from_millis(750);
    agent_runner::process::wait::wait_until(quiet).unwrap();
    let after = switches(round.pid());
    assert!(after - before <= 2, "{} wake-ups", after - before);
    assert_eq!(super::support::end_of(&mut round), 0);
    let progress = project.event("round_progress");
    assert_eq!((progress.round_num(), progress.int("log_size_kb")), (Some(1), Some(0)));
}

#[test]
fn the_oldest_agent_logs_go_and_a_bulk_is_refused() {
    let project = Project::new("true").runtime("round_log_retention = 2");
    let rounds = project.layout().rounds_dir();
    fs::create_dir_all(&rounds).unwrap();
    for number in 100..105 {
        super::support::put(&rounds.join(format!("R{number}-20260101T000000.log")), "");
    }
    project.run();
    let deferred = project.event("round_logs_prune_deferred");
    assert_eq!((deferred.int("existing"), deferred.int("would_delete")), (Some(5), Some(3)));
    fs::remove_file(rounds.join("R104-20260101T000000.log")).unwrap();
    fs::remove_file(rounds.join("R103-20260101T000000.log")).unwrap();
    project.run();
    assert!(!rounds.join("R100-20260101T000000.log").exists());
    assert!(rounds.join("R102-20260101T000000.log").exists());
}
