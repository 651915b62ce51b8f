//! Rounds follow each other, and what they are handed.

use std::fs;
use std::path::Path;

use super::project::{Project, exists};

#[test]
fn rounds_go_on_until_max_rounds_and_nothing_is_printed() {
    let project = Project::new("echo working");
    let mut serve = project.serve(&["--max-rounds", "2"]);
    assert_eq!(serve.wait(), 0, "{}", serve.said());
    let kinds: Vec<String> = project.events().into_iter().map(|record| record.kind).collect();
    let one_round = [
        "round_substrate_before",
        "round_start",
        "agent_spawn",
        "agent_exit",
        "round_end",
        "round_substrate_after",
    ];
    let expected: Vec<&str> =
        [&["host_cgroup_memory_limit"][..], &one_round, &one_round, &["max_rounds_reached"]].concat();
    assert_eq!(kinds, expected);
    assert_eq!((serve.said().as_str(), project.read("stdout").as_str()), ("", ""));
    let logs = project.logs();
    assert_eq!(fs::read_link(logs.round_current()).unwrap(), Path::new("round-2.log"));
    assert!(!exists(&logs.serve_pid()) && exists(&logs.serve_lock()));
    assert_eq!(fs::read_dir(logs.notify_dir()).unwrap().count(), 0);
    let heads: Vec<_> =
        project.of_kind("round_substrate_after").iter().map(|r| r.str("git_head").map(str::len)).collect();
    assert_eq!(heads, [Some(40), Some(40)]);
}

#[test]
fn once_is_one_round_whatever_it_ends_with() {
    let project = Project::new("exit 3");
    let mut serve = project.serve(&["--once"]);
    assert_eq!(serve.wait(), 0, "{}", serve.said());
    assert_eq!(project.of_kind("agent_exit").len(), 1);
}

#[test]
fn a_later_serve_goes_on_with_the_next_number() {
    let project = Project::new("echo working");
    for _ in 0..2 {
        assert_eq!(project.serve(&["--once"]).wait(), 0);
    }
    let numbers: Vec<_> = project.of_kind("round_start").iter().map(|r| r.round_num()).collect();
    assert_eq!(numbers, [Some(1), Some(2)]);
}

#[test]
fn a_round_is_told_its_number_its_eyes_and_its_grace_and_not_the_service_manager() {
    let project = Project::configured("env >\"$HOME/env-$AGENT_RUNNER_ROUND_NUM\"", "fresh_eyes_every_n = 2");
    let (mut serve, _manager) = project.serve_notified(&["--max-rounds", "2"]);
    assert_eq!(serve.wait(), 0, "{}", serve.said());
    let has =
        |round: i64, line: &str| project.read(&format!("env-{round}")).lines().any(|found| found == line);
    assert!(has(1, "AGENT_RUNNER_FRESH_EYES=0") && has(2, "AGENT_RUNNER_FRESH_EYES=1"));
    assert!(has(1, "AGENT_RUNNER_REAP_GRACE_S=5") && has(1, "AGENT_RUNNER_COOPERATIVE_STOP_SIGNAL=SIGTERM"));
    assert!(!project.read("env-1").contains("NOTIFY_SOCKET"));
    assert!(!project.read("env-1").contains("AGENT_RUNNER_SERVE_"));
    assert_eq!(project.of_kind("fresh_eyes_round_triggered").len(), 1);
}

#[test]
fn phases_take_turns_and_a_shut_one_is_stepped_over() {
    let phases = "[phases]\nlist = [\"plan\", \"build\", \"test\"]\nphase_policy = \"skip\"\n\
                  [phases.build.schedule]\npause_windows = [\"00:00-24:00\"]";
    let project = Project::configured("echo working", phases);
    assert_eq!(project.serve(&["--max-rounds", "2"]).wait(), 0);
    let phases: Vec<_> =
        project.of_kind("round_start").iter().map(|r| r.str("phase").map(str::to_owned)).collect();
    assert_eq!(phases, [Some("plan".into()), Some("test".into())]);
    let skipped = project.of_kind("schedule_phase_skipped");
    assert_eq!(skipped[0].str("chosen"), Some("test"));
    assert_eq!(skipped[0].str("active_window"), Some("00:00-24:00"));
}

#[test]
fn the_watched_files_are_fingerprinted_around_the_round() {
    let project = Project::configured("echo more >>notes.md", "substrate_fingerprint_paths = [\"*.md\"]");
    assert_eq!(project.serve(&["--once"]).wait(), 0);
    let hash = |kind: &str| project.of_kind(kind)[0].str("paths_hash").map(str::to_owned);
    let (before, after) = (hash("round_substrate_before"), hash("round_substrate_after"));
    assert!(before.is_some() && after.is_some());
}

#[test]
fn a_second_serve_is_refused_and_touches_nothing() {
    let project = Project::new(super::project::WAITING_AGENT);
    let first = project.serve(&[]);
    project.wait_for_pid("agent.pid");
    let before = project.events().len();
    let mut second = project.serve(&[]);
    assert_eq!(second.wait(), 1);
    assert!(second.said().contains("another serve is already running for"), "{}", second.said());
    assert_eq!(project.events().len(), before);
    let recorded = fs::read_to_string(project.logs().serve_pid()).unwrap();
    assert!(recorded.contains(&first.pid().to_string()), "{recorded}");
}
