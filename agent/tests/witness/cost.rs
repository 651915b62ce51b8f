//! What is read is what is new or what is asked, however old the log is.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::RangeInclusive;

use agent_runner::config::types::Config;
use agent_runner::peek::{self, Asked};
use agent_runner::provider::Presets;
use agent_runner::service::{Account, Acting};
use agent_runner::store::follow::Line;
use agent_runner::store::layout::Layout;
use agent_runner::store::record::Record;
use agent_runner::store::time;
use agent_runner::witness::detectors;
use agent_runner::witness::monitor::FIRST_LOOK;
use agent_runner::witness::reader::{Look, Reader, Start};
use agent_runner::witness::thresholds::Thresholds;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::project::Project;

const ROUNDS: i64 = 65_000;
/// One block of a backward read may lie beyond the budget.
const SLACK: u64 = 128 * 1024;

/// About 60 MB of healthy rounds that end now, half of them in last month's file.
fn write_long_log(layout: &Layout) {
    let now = Timestamp::now();
    let month: Timestamp = format!("{}-01T00:00:00Z", time::month(now)).parse().unwrap();
    write_rounds(
        layout,
        1..=ROUNDS / 2,
        (month - SignedDuration::from_hours(200), month - SignedDuration::from_secs(1)),
    );
    write_rounds(layout, ROUNDS / 2 + 1..=ROUNDS, (month, now));
}

fn write_rounds(layout: &Layout, rounds: RangeInclusive<i64>, (first, last): (Timestamp, Timestamp)) {
    let mut file = BufWriter::new(File::create(layout.events_file(first)).unwrap());
    let step = last.duration_since(first) / i32::try_from(ROUNDS).unwrap();
    for round_num in rounds.clone() {
        let left = i32::try_from(rounds.end() - round_num).unwrap();
        let ts = time::stamp(last - step * left);
        let mut line = |kind: &str, rest: &str| {
            writeln!(file, "{{\"ts\": \"{ts}\", \"event\": \"{kind}\", \"round_num\": {round_num}{rest}}}")
                .unwrap();
        };
        let digest = "0".repeat(64);
        line("round_substrate_before", ", \"git_head\": null, \"paths_hash\": null");
        line(
            "round_start",
            &format!(", \"phase\": null, \"config_digest\": \"{digest}\", \"config_changed\": false"),
        );
        for _ in 0..4 {
            line("round_progress", ", \"log_size_kb\": 10, \"last_write_age_s\": 1, \"wall_age_s\": 60");
        }
        line(
            "agent_exit",
            ", \"exit_code\": 0, \"duration_s\": 9.0, \"timed_out\": false, \"exit_cause\": \"exited\"",
        );
        line("round_end", "");
    }
    file.flush().unwrap();
}

#[test]
fn a_first_poll_is_bounded_and_a_later_one_reads_what_is_new() {
    let project = Project::new();
    write_long_log(&project.layout);
    project.sample(&json!({"disk_used_pct": 97.0}));
    let look = Look { auth_patterns: vec!["401".into()], growth_window_s: 1800, disks: Vec::new() };
    let mut reader = Reader::new(project.layout.clone(), FIRST_LOOK, Start::End);
    let mut handed_out = 0;
    reader.poll(&look, |_| handed_out += 1).unwrap();
    assert_eq!(handed_out, 0);
    let first = reader.bytes_read();
    assert!(first <= FIRST_LOOK.events + SLACK, "{first}");
    assert_eq!(reader.snapshot().newest_round.as_ref().unwrap().round_num, ROUNDS);
    assert_eq!(reader.snapshot().exits.len(), 10);

    for n in 0..10 {
        project.event(0, "round_progress", &json!({"round_num": ROUNDS + n}));
    }
    reader.poll(&look, |_| handed_out += 1).unwrap();
    let later = reader.bytes_read() - first;
    assert_eq!(handed_out, 10);
    assert!(later < 64 * 1024, "{later}");
    assert_eq!(reader.snapshot().highest_round_num, Some(ROUNDS + 9));

    let config = Config::load(&project.config(), None).unwrap().config;
    let thresholds = Thresholds::of(&config);
    let alerts = detectors::evaluate(reader.snapshot(), &thresholds, Timestamp::now()).alerts;
    assert_eq!(alerts.iter().map(|(identity, _)| identity.as_str()).collect::<Vec<_>>(), ["disk_critical"]);
}

#[test]
fn samples_that_were_read_are_not_read_again() {
    let project = Project::new();
    let padded = json!({"disk_used_pct": 50.0, "mem_total_mb": 8000, "note": "x".repeat(500)});
    for _ in 0..10_000 {
        project.sample(&padded);
    }
    let look = Look { auth_patterns: Vec::new(), growth_window_s: 1800, disks: Vec::new() };
    let mut reader = Reader::new(project.layout.clone(), FIRST_LOOK, Start::End);
    reader.poll(&look, |_| {}).unwrap();
    let first = reader.bytes_read();
    assert!(first <= FIRST_LOOK.samples + SLACK, "{first}");
    for polls in 1..=3 {
        let (before, by_kernel) = (reader.bytes_read(), read_by_this_thread());
        project.sample(&padded);
        reader.poll(&look, |_| {}).unwrap();
        let (told, seen) = (reader.bytes_read() - before, read_by_this_thread() - by_kernel);
        assert!(told > 500 && told < 4096 && seen < 64 * 1024, "poll {polls}: {told} bytes, {seen} read");
    }
}

#[test]
fn a_peek_reads_less_than_a_megabyte() {
    let project = Project::new();
    write_long_log(&project.layout);
    for _ in 0..10_000 {
        project.sample(&json!({"disk_used_pct": 50.0, "mem_total_mb": 8000}));
    }
    let config = Config::load(&project.config(), None).unwrap().config;
    let presets = Presets::embedded();
    let asked = Asked { round: None, log_lines: None, events: 20 };
    let before = read_by_this_thread();
    let answer = peek::look(&config, account(), &presets, asked).unwrap();
    let read = read_by_this_thread() - before;
    assert!(read < 1024 * 1024, "{read}");
    assert_eq!(answer.recent_rounds.last().unwrap().round_num, ROUNDS);
    assert_eq!((answer.recent_rounds.len(), answer.recent_events.len()), (20, 20));
}

/// Bytes, as the kernel counts them.
fn read_by_this_thread() -> u64 {
    let io = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

fn account() -> Account {
    Account {
        user: "nobody-here".into(),
        group: "nobody-here".into(),
        uid: 65_534,
        gid: 65_534,
        home: "/nonexistent".into(),
        runtime_dir: None,
        acting: Acting::Itself,
    }
}

#[test]
fn a_replaced_log_is_taken_in_again() {
    let project = Project::new();
    let look = Look { auth_patterns: Vec::new(), growth_window_s: 1800, disks: Vec::new() };
    let mut reader = Reader::new(project.layout.clone(), FIRST_LOOK, Start::End);
    project.event(0, "round_start", &json!({"round_num": 500}));
    reader.poll(&look, |_| {}).unwrap();
    assert_eq!(reader.snapshot().highest_round_num, Some(500));
    std::fs::remove_dir_all(project.layout.root()).unwrap();
    reader.poll(&look, |_| {}).unwrap();
    assert_eq!(reader.snapshot().highest_round_num, None);
    std::fs::create_dir_all(project.layout.root()).unwrap();
    project.event(0, "round_start", &json!({"round_num": 1}));
    let mut handed_out = 0;
    reader.poll(&look, |_| handed_out += 1).unwrap();
    assert_eq!(reader.snapshot().highest_round_num, Some(1));
    assert_eq!(handed_out, 1);
    // Nobody looks between the old log's end and the new one's beginning.
    std::fs::remove_dir_all(project.layout.root()).unwrap();
    std::fs::create_dir_all(project.layout.root()).unwrap();
    for round_num in [21, 22, 23] {
        project.event(0, "round_start", &json!({"round_num": round_num}));
    }
    let mut told: Vec<Option<i64>> = Vec::new();
    let mut poll = |reader: &mut Reader| {
        let each = |line: Line| told.push(Record::parse(&line.bytes).and_then(|record| record.round_num()));
        reader.poll(&look, each).unwrap();
        told.clone()
    };
    assert_eq!(poll(&mut reader), [Some(21), Some(22), Some(23)]);
    assert_eq!(reader.snapshot().highest_round_num, Some(23));
    project.event(0, "round_start", &json!({"round_num": 24}));
    assert_eq!(poll(&mut reader), [Some(21), Some(22), Some(23), Some(24)]);
}
