//! Every detector, provoked by what it is there for: a real agent that misbehaves, a real log, a real disk. What its
//! threshold is and what does not fire it, its own table knows.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::project::Project;

/// A project whose rounds are run by this shell script.
fn with_agent(script: &str, more: &str) -> Project {
    let project = Project::new();
    let work = project.config().parent().unwrap().to_owned();
    // The name of the command decides how its output is read.
    std::os::unix::fs::symlink("/bin/sh", work.join("claude")).unwrap();
    agent_runner::store::atomic::replace(&work.join("agent.sh"), script.as_bytes()).unwrap();
    let log_dir = project.layout.root().display();
    project.configure_raw(&format!(
        "schema_version = 1\n[agent]\ncommand = [\"{work}/claude\", \"{work}/agent.sh\"]\nprompt_arg_template = [\"{{prompt}}\"]\n\
         [runtime]\nwork_dir = \".\"\nlog_dir = \"{log_dir}\"\nrestart_delay_s = 1\n{more}\n[prompt]\nfile = \"main.md\"\n",
        work = work.display()
    ));
    agent_runner::store::atomic::replace(
        &work.join("main.md"),
        "Do what has to be done. ".repeat(30).as_bytes(),
    )
    .unwrap();
    for args in [
        &["init", "-q"][..],
        &["config", "user.name", "ops"],
        &["config", "user.email", "ops@example.invalid"],
        &["add", "-A"],
        &["commit", "-q", "-m", "start"],
    ] {
        let status = Command::new("git").arg("-C").arg(&work).args(args).status().unwrap();
        assert!(status.success(), "{args:?}");
    }
    project
}

/// Runs so many rounds, however they end.
fn rounds(project: &Project, count: usize) {
    for _ in 0..count {
        let mut round = project.command(&["round"]);
        let output = round.env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap();
        assert!(output.status.code().is_some(), "{output:?}");
    }
}

/// What `monitor --once` says holds now.
fn told(project: &Project) -> Vec<Value> {
    let printed = project.printed(&["monitor", "--once", "--json"]);
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one alert of a detector.
fn alert(project: &Project, detector: &str) -> Value {
    let alerts = told(project);
    let mut of_detector = alerts.iter().filter(|alert| alert["detector"] == detector);
    let (first, second) = (of_detector.next(), of_detector.next());
    assert!(second.is_none(), "{alerts:?}");
    assert!(first.is_some(), "no {detector} in {alerts:?}; {:?}", project.logged("agent_exit"));
    first.unwrap().clone()
}

fn is_silent(project: &Project, detector: &str) {
    let alerts = told(project);
    assert!(alerts.iter().all(|alert| alert["detector"] != detector), "{alerts:?}");
}

#[test]
fn rounds_that_run_into_their_wall_clock_are_a_timeout_rate() {
    let project = with_agent("exec sleep 60", "round_budget_s = 1");
    rounds(&project, 2);
    for round_num in 3..=10 {
        let exit = json!({"round_num": round_num, "exit_code": 0, "duration_s": 2.0, "timed_out": false, "exit_cause": "clean"});
        project.event(0, "agent_exit", &exit);
    }
    assert_eq!(alert(&project, "timeout_rate")["message"], "2/10 recent rounds timed out (>20%)");
}

#[test]
fn a_round_whose_power_was_cut_is_hung() {
    let project = Project::new();
    let start = json!({"round_num": 7, "phase": null});
    project.event(149, "round_start", &start);
    is_silent(&project, "hung");
    project.event(200, "round_start", &json!({"round_num": 8, "phase": null}));
    let hung = alert(&project, "hung");
    assert_eq!((&hung["context"]["round_num"], &hung["context"]["threshold_s"]), (&json!(8), &json!(150.0)));
}

#[test]
fn an_agent_that_never_finishes_its_work_is_an_orphan_chain() {
    let project = with_agent("date +%N > unfinished", "");
    rounds(&project, 2);
    is_silent(&project, "orphan_chain");
    rounds(&project, 1);
    assert_eq!(alert(&project, "orphan_chain")["context"]["streak"], 3);
    // One that finishes ends the chain.
    fs::remove_file(project.config().with_file_name("agent.sh")).unwrap();
    agent_runner::store::atomic::replace(&project.config().with_file_name("agent.sh"), b"true").unwrap();
    Command::new("git")
        .arg("-C")
        .arg(project.config().parent().unwrap())
        .args(["commit", "-qam", "better"])
        .status()
        .unwrap();
    rounds(&project, 1);
    is_silent(&project, "orphan_chain");
}

#[test]
fn a_disk_that_fills_up_warns_and_a_full_one_is_critical_as_the_disk_itself_says() {
    // The disk below is this machine's: where its use lies between the thresholds is up to the configuration.
    let project = Project::new();
    let thresholds = |warning: &str, critical: &str| {
        project.configure(&format!(
            "[monitor.host_health.disk]\nwarning_pct = {warning}\ncritical_pct = {critical}\n"
        ));
    };
    thresholds("99.8", "99.9");
    is_silent(&project, "disk_warning");
    is_silent(&project, "disk_critical");
    thresholds("0.0", "99.9");
    let warning = alert(&project, "disk_warning");
    assert!(warning["context"]["value"].as_f64().unwrap() > 0.0, "{warning}");
    thresholds("0.0", "0.1");
    let critical = alert(&project, "disk_critical");
    assert_eq!(
        (&critical["severity"], &critical["auto_action"]),
        (&json!("critical"), &json!("stop_service"))
    );
    assert!(
        critical["context"]["hint"].as_str().unwrap().starts_with("free space on the disk of /"),
        "{critical}"
    );
}

#[test]
fn a_disk_that_grows_while_rounds_run_is_told_per_hour() {
    let project = with_agent("true", "");
    // Half an hour ago the disk was 40 % emptier than the round now finds it.
    rounds(&project, 1);
    let now: Value = newest_sample(&project);
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(1500);
    let used = now["disk_used_pct"].as_f64().unwrap() - 40.0;
    let line =
        json!({"ts": agent_runner::store::time::stamp(then), "event": "round_end", "disk_used_pct": used});
    let file = project.layout.metrics_file(jiff::Timestamp::now());
    let text = fs::read_to_string(&file).unwrap();
    agent_runner::store::atomic::replace(&file, format!("{line}\n{text}").as_bytes()).unwrap();
    let growth = alert(&project, "disk_growth");
    assert!(growth["context"]["disk_pct_per_hr"].as_f64().unwrap() > 50.0, "{growth}");
}

fn newest_sample(project: &Project) -> Value {
    let text = fs::read_to_string(project.layout.metrics_file(jiff::Timestamp::now())).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn stalls_swapping_and_little_memory_are_pressure() {
    let project = Project::new();
    let calm = json!({"mem_available_mb": 4000, "mem_free_mb": 900, "swap_sout": 0, "psi_some_avg10": 0.0, "psi_full_avg10": 0.0});
    project.sample(&calm);
    is_silent(&project, "mem_pressure");
    project.sample(&json!({"mem_available_mb": 4000, "mem_free_mb": 900, "swap_sout": 0, "psi_some_avg10": 90.0, "psi_full_avg10": 80.0}));
    assert_eq!(alert(&project, "mem_pressure")["severity"], "critical");
    let inert = alert(&project, "mem_pressure_gate_inert");
    assert_eq!(inert["context"]["mem_available_mb"], 4000, "{inert}");
    // A host without PSI that swaps 200 MiB out between two samples.
    project.sample(&json!({"mem_available_mb": 4000, "mem_free_mb": 900, "swap_sout": 0, "psi_some_avg10": null, "psi_full_avg10": null}));
    project.sample(&json!({"mem_available_mb": 4000, "mem_free_mb": 900, "swap_sout": 209_715_200, "psi_some_avg10": null, "psi_full_avg10": null}));
    alert(&project, "mem_pressure");
    project.sample(&calm);
    is_silent(&project, "mem_pressure");
    is_silent(&project, "mem_pressure_gate_inert");
}

#[test]
fn a_host_that_tells_nothing_of_its_memory_is_said_so() {
    let project = Project::new();
    let blind = json!({"mem_available_mb": 4000, "mem_free_mb": null, "swap_sout": null, "psi_some_avg10": null, "psi_full_avg10": null});
    project.sample(&blind);
    assert_eq!(alert(&project, "mem_signal_unavailable")["context"]["mem_available_mb"], 4000);
    // What a real round samples on this host is enough to see by.
    let real = with_agent("true", "");
    rounds(&real, 1);
    is_silent(&real, "mem_signal_unavailable");
}

#[test]
fn a_prompt_that_cannot_work_is_a_smoke_failure() {
    let project = with_agent("true", "");
    rounds(&project, 1);
    is_silent(&project, "smoke_fail_rate");
    agent_runner::store::atomic::replace(&project.config().with_file_name("main.md"), b"--help").unwrap();
    rounds(&project, 1);
    let smoke = alert(&project, "smoke_fail_rate");
    assert!(smoke["message"].as_str().unwrap().contains("failed the startup checks; see doctor"), "{smoke}");
}

#[test]
fn an_agent_whose_login_expired_fails_three_rounds_and_no_more_are_needed() {
    let project = with_agent("echo 'Error: 401 Unauthorized'; exit 1", "");
    rounds(&project, 2);
    is_silent(&project, "oauth_fail");
    rounds(&project, 1);
    let refused = alert(&project, "oauth_fail");
    assert_eq!(
        (&refused["auto_action"], &refused["context"]["in_a_row"]),
        (&json!("stop_service"), &json!(3))
    );
}

#[test]
fn an_agent_without_a_network_is_a_network_failure() {
    let project = with_agent("echo 'Error: getaddrinfo ENOTFOUND api.example.invalid'; exit 1", "");
    rounds(&project, 2);
    for round_num in 3..=10 {
        let exit = json!({"round_num": round_num, "exit_code": 0, "duration_s": 90.0, "timed_out": false, "exit_cause": "clean"});
        project.event(0, "agent_exit", &exit);
    }
    assert_eq!(alert(&project, "network_fail")["context"]["matches"], 2);
}

/// What Claude Code prints when the account's five hours are used up.
const LIMITED: &str = r#"echo '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","rateLimitType":"five_hour","resetsAt":'$(($(date +%s) + 900))'}}'
echo '{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"result":"limit","num_turns":1,"duration_ms":1,"total_cost_usd":0,"usage":{}}'
exit 1"#;

#[test]
fn an_account_at_its_limit_is_a_rate_limit_until_its_reset() {
    let project = with_agent(LIMITED, "");
    rounds(&project, 1);
    let limit = alert(&project, "rate_limit_active");
    assert_eq!(limit["context"]["agent"], "claude", "{limit}");
}

/// What Claude Code prints when it reads one file again and again.
const REPEATS: &str = r#"for n in $(seq 40); do
echo '{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t'$n'","name":"Read","input":{"file_path":"/same"}}]}}'
done
echo '{"type":"result","subtype":"success","is_error":false,"result":"ok","num_turns":1,"duration_ms":1,"total_cost_usd":0,"usage":{"input_tokens":1,"output_tokens":1}}'"#;

#[test]
fn an_agent_that_reads_one_file_forty_times_is_repetitive() {
    let project =
        with_agent(REPEATS, "[monitor]\nanomaly_repetitive_window = 30\nanomaly_repetitive_threshold = 15");
    rounds(&project, 1);
    let repeats = alert(&project, "anomaly_repetitive_active");
    assert_eq!(
        (&repeats["context"]["latest_tool"], &repeats["context"]["latest_target"]),
        (&json!("Read"), &json!("/same"))
    );
}

#[test]
fn a_loop_that_says_nothing_for_longer_than_a_round_takes_is_stale() {
    let project = Project::new();
    project.event(149, "round_end", &json!({"round_num": 1}));
    is_silent(&project, "supervisor_stale");
    let stale = Project::new();
    stale.event(151, "round_end", &json!({"round_num": 1}));
    assert_eq!(alert(&stale, "supervisor_stale")["context"]["threshold_s"], 150);
    stale.event(
        100,
        "schedule_paused",
        &json!({"active_window": "night", "resume_at": "2999-01-01T00:00:00+00:00", "timezone": "UTC"}),
    );
    is_silent(&stale, "supervisor_stale");
}
