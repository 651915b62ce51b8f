//! `peek` and `watch`.

use agent_runner::config::types::Config;
use agent_runner::host::Root;
use agent_runner::peek::brake::Standing;
use agent_runner::process::identity::Identity;
use agent_runner::store::orphan_state::{self, Orphan, OrphanState};
use agent_runner::store::pid_file;
use jiff::Timestamp;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::project::Project;
use crate::wait;

fn answer(project: &Project, args: &[&str]) -> Value {
    serde_json::from_str(&project.printed(&[&["peek", "--json"], args].concat())).unwrap()
}

fn lived() -> Project {
    let project = Project::new();
    project.refused_rounds(1..=3);
    project.sample(
        &json!({"disk_used_pct": 42.5, "disk_free_gb": 7.5, "mem_total_mb": 8000, "mem_available_mb": 6000}),
    );
    project
}

#[test]
fn the_answer_has_the_contracts_keys_in_their_order() {
    let project = lived();
    let text = project.printed(&["peek", "--json"]);
    let keys: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  \"")?.split_once('"').map(|(key, _)| key))
        .collect();
    let contract = [
        "schema_version",
        "plugins",
        "project",
        "status",
        "defenses",
        "current_round",
        "recent_rounds",
        "orphan",
        "system",
        "service",
        "recent_events",
        "recent_hook_failures",
        "recent_blips",
        "recent_cgroup_growth_warnings",
        "schedule",
        "brake",
    ];
    assert_eq!(keys[..contract.len()], contract);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["schema_version"], "2.6");
    assert_eq!(answer["status"], json!({}));
    assert_eq!(answer["brake"], "off");
    assert_eq!(answer["system"]["disk_used_pct"], 42.5);
    assert_eq!(answer["defenses"].as_array().unwrap().len(), 17);
    assert_eq!(answer["recent_rounds"].as_array().unwrap().len(), 3);
    assert_eq!(answer["recent_rounds"][2]["exit_code"], 1);
    assert_eq!(answer["alerts"][0]["detector"], "oauth_fail");
    assert_eq!(answer["service"]["mode"], "none");
    assert!(answer["service"]["rate_limit"].is_null());
}

#[test]
fn a_round_is_shown_with_its_log_and_its_events() {
    let project = lived();
    for asked in ["2", "latest"] {
        let round = answer(&project, &["--round", asked, "--log"])["current_round"].clone();
        assert_eq!(round["round_num"], if asked == "latest" { 3 } else { 2 });
        assert_eq!(round["log_tail"], "error: 401 Unauthorized");
        assert_eq!((&round["exit_code"], &round["timed_out"]), (&json!(1), &json!(false)));
        assert_eq!(round["recent_events"].as_array().unwrap().len(), 3);
    }
    assert_eq!(project.run(&["peek", "--round", "9"]).status.code(), Some(1));
    assert_eq!(project.run(&["peek", "--round", "nine"]).status.code(), Some(2));
}

#[test]
fn the_throttle_the_pause_and_the_newest_events_are_told() {
    let project = lived();
    let reset = Timestamp::now().as_second() + 5_000;
    let throttle = json!({"classification": "rate_limit_account", "agent": "claude", "reset_at_epoch": reset, "round_num": 3, "raw": "", "phase": ""});
    project.event(0, "transient_error_detected", &throttle);
    project.event(
        0,
        "schedule_paused",
        &json!({"active_window": "night", "resume_at": "2999-01-01T00:00:00+00:00", "timezone": "UTC"}),
    );
    let answer = answer(&project, &["--events", "2"]);
    let limit = &answer["service"]["rate_limit"];
    assert_eq!((&limit["throttled_until_epoch"], &limit["agent"]), (&json!(reset), &json!("claude")));
    assert_eq!(limit["throttled_agents"], json!(["claude"]));
    assert_eq!(answer["schedule"]["active_window"], "night");
    let kinds: Vec<&Value> =
        answer["recent_events"].as_array().unwrap().iter().map(|e| &e["event"]).collect();
    assert_eq!(kinds, ["transient_error_detected", "schedule_paused"]);
}

#[test]
fn one_value_can_be_selected() {
    let project = lived();
    assert_eq!(project.printed(&["peek", "--select", "system.disk_used_pct"]), "42.5\n");
    assert_eq!(project.printed(&["peek", "--select", "recent_rounds.0.round_num"]), "1\n");
    for unknown in ["brake", "schema_version", "nothing", "recent_rounds.99"] {
        assert_eq!(project.run(&["peek", "--select", unknown]).status.code(), Some(1), "{unknown}");
    }
}

#[test]
fn the_page_names_alerts_and_the_way_back_to_lost_work() {
    let project = lived();
    let orphan = Orphan {
        round_num: 3,
        files: vec!["a.rs".into()],
        stashed_ref: Some("0123456789abcdef".into()),
        stash_message: None,
        timestamp: "2026-03-01T00:00:00.000Z".into(),
        phase: None,
    };
    orphan_state::write(&project.layout, &OrphanState { newest: orphan, earlier: Vec::new() }).unwrap();
    let page = project.printed(&["peek"]);
    assert!(page.contains("CRITICAL oauth_fail"), "{page}");
    assert!(page.contains("git stash apply 0123456789"), "{page}");
    assert!(!page.contains('\x1b'), "no colour without a terminal: {page}");
}

#[test]
fn a_round_that_was_ended_after_its_result_is_shown_as_a_good_one() {
    let project = Project::new();
    for (round_num, exit_code, cause) in [(1, -15, "timeout"), (2, -9, "grace_kill")] {
        let exit = json!({"round_num": round_num, "exit_code": exit_code, "duration_s": 12.0, "timed_out": true, "exit_cause": cause});
        project.event(3, "round_start", &json!({"round_num": round_num, "phase": null}));
        project.event(0, "agent_exit", &exit);
        project.event(0, "round_end", &json!({"round_num": round_num}));
    }
    let page = project.printed(&["peek"]);
    assert!(page.contains("rounds    t+  "), "{page}");
    assert!(page.contains("ended well after 12 s"), "{page}");
}

#[test]
fn a_detector_that_cannot_judge_is_named_and_no_picture_of_health() {
    let project = Project::new();
    project.unreadable_round(1);
    let text = project.printed(&["peek", "--json"]);
    let answer: Value = serde_json::from_str(&text).unwrap();
    let blind = answer["cannot_judge"].as_array().unwrap();
    let names: Vec<&Value> = blind.iter().map(|blindness| &blindness["detector"]).collect();
    assert_eq!(names, ["oauth_fail", "network_fail"]);
    assert!(blind[0]["error"].as_str().unwrap().starts_with("the log of round 1: "), "{answer}");
    assert_eq!(answer["alerts"], json!([]));
    let last_key = text.lines().rfind(|line| line.starts_with("  \""));
    assert!(last_key.unwrap().starts_with("  \"cannot_judge\""), "new keys come at the end: {text}");
    let page = project.printed(&["peek"]);
    assert!(page.contains("blind     oauth_fail cannot judge: the log of round 1: "), "{page}");
    assert!(!page.contains("alerts    none"), "{page}");
    let healthy = Project::new();
    assert_eq!(self::answer(&healthy, &[])["cannot_judge"], json!([]));
    assert!(healthy.printed(&["peek"]).contains("alerts    none"));
}

#[test]
fn the_brake_is_that_of_the_loop_that_runs_however_old_its_fact_is() {
    let project = Project::new();
    project.configure("[monitor.host_health.brake]\nmemory_high = true\n");
    let config = Config::load(&project.config(), None).unwrap().config;
    let is = |standing: &Standing| standing.brake(&config).as_str();
    // A fact that differs from what is so here.
    let now = is(&Standing::of(&Root::default(), None));
    let (delegated, fact) = if now == "armed" { (false, "inert(undelegated)") } else { (true, "armed") };
    let limit = json!({"memory_max": null, "cgroup_path": "/unit", "cgroup_delegated": delegated});
    project.event(60, "host_cgroup_memory_limit", &limit);
    assert_eq!(answer(&project, &[])["brake"], fact, "the last Loop's");
    // The Loop that runs is this very process.
    pid_file::write(&project.layout, &Identity::own()).unwrap();
    let own = is(&Standing::of(&Root::default(), Some(Identity::own())));
    assert_eq!(answer(&project, &[])["brake"], own);
    let progress = json!({"round_num": 1, "filler": "x".repeat(1000)});
    for _ in 0..400 {
        project.event(0, "round_progress", &progress);
    }
    let answer = answer(&project, &[]);
    assert_eq!(answer["brake"], own, "with the fact out of sight");
    let page = project.printed(&["peek"]);
    assert!(page.contains(&format!("brake     {own}\n")), "{page}");
    let memory = answer["defenses"].as_array().unwrap().iter().find(|row| row["name"] == "mem_loop_breaker");
    if own != "armed" {
        assert_eq!(memory.unwrap()["current_state"], "degraded");
        assert!(page.contains("the soft brake cannot be pulled"), "{page}");
    }
}

#[test]
fn the_page_says_what_the_newest_finding_and_the_newest_hook_failure_say() {
    let project = lived();
    let finding = |message: &str, action: &str| json!({"round_num": 3, "severity": "warning", "detector": "repetition", "message": message, "suggested_action": action});
    project.event(9, "critic_finding", &finding("an older one", ""));
    let long =
        format!("the same file\u{1b}[2J again\r\nand again, token=abcdefghijklmnop {}", "x".repeat(5000));
    project.event(8, "critic_finding", &finding(&long, "look at main.rs"));
    let failure = json!({"hook_name": "claude_error_detector", "hook_kind": "post_round", "error_type": "ValueError", "error_message": "bad\nnumber", "traceback": "..."});
    project.event(7, "hook_failed", &failure);
    let page = project.printed(&["peek"]);
    assert!(page.contains("critic    2 recently, the last at "), "{page}");
    assert!(
        page.contains("warning repetition: the same file again  and again, token=[masked] xxx"),
        "{page}"
    );
    assert!(page.contains("          -> look at main.rs\n"), "{page}");
    assert!(page.contains("          claude_error_detector: ValueError: bad number\n"), "{page}");
    assert!(!page.contains("an older one") && !page.contains('\x1b') && !page.contains('\r'), "{page}");
    assert!(page.lines().all(|line| line.len() < 500), "{page}");
}

#[test]
fn watching_goes_on_until_interrupted_and_ends_when_a_look_fails() {
    let project = lived();
    let mut watch = project.start(&["watch", "--interval", "1"]);
    for _ in 0..2 {
        wait::until("another look", || watch.line().starts_with("work  "));
    }
    watch.signal(Signal::SIGINT);
    assert_eq!(watch.ended().code(), Some(0));
    let mut watch = project.start(&["watch", "--interval", "1"]);
    watch.line();
    std::fs::remove_file(project.config()).unwrap();
    assert_eq!(watch.ended().code(), Some(1));
}
