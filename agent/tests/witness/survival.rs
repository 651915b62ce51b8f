//! What happens to a host over a year happens to its monitor too, and it goes on.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use agent_runner::config::types::Config;
use agent_runner::store::layout::Layout;
use agent_runner::store::time;
use agent_runner::witness::detectors;
use agent_runner::witness::monitor::FIRST_LOOK;
use agent_runner::witness::reader::{Look, Reader, Start};
use agent_runner::witness::thresholds::Thresholds;
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;
use proptest::prelude::*;
use serde_json::json;

use crate::project::Project;
use crate::skipped::skip;
use crate::wait;

fn look() -> Look {
    Look { auth_patterns: vec!["401".into()], growth_window_s: 1800, disks: Vec::new() }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn midnight_of_a_new_month_loses_no_event_and_repeats_none() {
    let project = Project::new();
    let mut reader = Reader::new(project.layout.clone(), FIRST_LOOK, Start::End);
    let file = |month: &str| project.layout.root().join(format!("events-{month}.jsonl"));
    let line = |ts: &str, round_num: i64| {
        format!(
            "{{\"ts\": \"{ts}\", \"event\": \"round_start\", \"round_num\": {round_num}, \"phase\": null}}\n"
        )
    };
    append(&file("2026-01"), &line("2026-01-31T23:59:58.000Z", 1));
    reader.poll(&look(), |_| {}).unwrap();
    append(&file("2026-01"), &line("2026-01-31T23:59:59.999Z", 2));
    append(&file("2026-02"), &line("2026-02-01T00:00:00.000Z", 3));
    // A process that took its time before midnight and wrote after it.
    let mut seen = Vec::new();
    reader.poll(&look(), |line| seen.push(line.bytes)).unwrap();
    append(&file("2026-01"), &line("2026-01-31T23:59:59.999Z", 4));
    append(&file("2026-02"), &line("2026-02-01T00:00:01.000Z", 5));
    reader.poll(&look(), |line| seen.push(line.bytes)).unwrap();
    reader.poll(&look(), |line| seen.push(line.bytes)).unwrap();
    let mut numbers: Vec<i64> = seen
        .iter()
        .map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap()["round_num"].as_i64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3, 4, 5]);
    assert_eq!(reader.snapshot().highest_round_num, Some(5));
}

#[test]
fn a_clock_that_steps_back_an_hour_raises_nothing_and_hides_nothing() {
    let project = Project::new();
    // Written an hour ahead of what the clock says now.
    project.event(-3600, "round_start", &json!({"round_num": 1, "phase": null}));
    project.event(-3599, "agent_exit", &json!({"round_num": 1, "exit_code": 0, "duration_s": 1.0, "timed_out": false, "exit_cause": "exited"}));
    project.event(-3598, "round_end", &json!({"round_num": 1}));
    let mut monitor = project.start(&["monitor", "--interval", "1", "--json"]);
    wait::until("the monitor is up", || !project.logged("monitor_started").is_empty());
    project.event(0, "round_start", &json!({"round_num": 2, "phase": null}));
    project.event(0, "round_end", &json!({"round_num": 2}));
    project.sample(&json!({"disk_used_pct": 91.0}));
    assert_eq!(monitor.json()["detector"], "disk_warning");
    project.sample(&json!({"disk_used_pct": 50.0}));
    assert_eq!(monitor.json()["context"]["resolved"], true);
    monitor.signal(Signal::SIGTERM);
    assert_eq!(monitor.ended().code(), Some(0));
    assert_eq!(project.logged("monitor_alert_emitted").len(), 1);
}

#[test]
fn a_poll_of_the_program_after_ten_events_reads_less_than_64_kb_of_a_long_log() {
    let project = Project::new();
    // In two months' files, as a long log is.
    for at in [Timestamp::now() - SignedDuration::from_hours(31 * 24), Timestamp::now()] {
        let stamp = time::stamp(at - SignedDuration::from_secs(60));
        let line = format!(
            "{{\"ts\": \"{stamp}\", \"event\": \"round_progress\", \"round_num\": 1, \"log_size_kb\": 10}}\n"
        );
        append(&project.layout.events_file(at), &line.repeat((10 << 20) / line.len()));
    }
    let monitor = project.start(&["monitor", "--interval", "1", "--json"]);
    project.sample(&json!({"disk_used_pct": 91.0}));
    assert_eq!(monitor.json()["detector"], "disk_warning");
    let read = || -> u64 {
        let io = fs::read_to_string(format!("/proc/{}/io", monitor.pid())).unwrap();
        io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
    };
    // Between two answers lies at least one whole poll, and at most the few that time allows.
    let before = read();
    for round_num in 0..10 {
        project.event(0, "round_progress", &json!({"round_num": round_num}));
    }
    project.sample(&json!({"disk_used_pct": 50.0}));
    assert_eq!(monitor.json()["context"]["resolved"], true);
    let polled = read() - before;
    assert!(polled < 64 * 1024, "{polled}");
}

/// A program whose output nobody takes yet; ended with the test.
struct Unread(Child);

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn thousands_of_alerts_and_a_reader_that_takes_nothing_hold_nobody_up_and_each_alert_ends() {
    /// As many as are told apart.
    const AGENTS: i64 = 256;
    const TURNS: i64 = 8;
    let project = Project::new();
    let mut command = project.command(&["monitor", "--interval", "1", "--json"]);
    let monitor = Unread(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    wait::until("the monitor is up", || !project.logged("monitor_started").is_empty());
    let file = project.layout.events_file(Timestamp::now());
    let write = |kind: &str, fields: &dyn Fn(i64) -> serde_json::Value| {
        let mut text = String::new();
        for agent in 0..AGENTS {
            let mut line = json!({"ts": time::stamp(Timestamp::now()), "event": kind, "agent": format!("agent-{agent}")});
            line.as_object_mut().unwrap().extend(fields(agent).as_object().unwrap().clone());
            text.push_str(&format!("{line}\n"));
        }
        append(&file, &text);
    };
    let count = |kind: &str| {
        let texts = project.layout.events_files();
        let texts = texts.iter().map(|file| fs::read_to_string(file).unwrap_or_default());
        texts.map(|text| text.matches(&format!("\"{kind}\"")).count()).sum::<usize>()
    };
    let memory_kb = || -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", monitor.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let total = |turns: i64| usize::try_from(turns * AGENTS).unwrap();
    let mut early = 0;
    for turn in 1..=TURNS {
        let reset = Timestamp::now().as_second() + 100_000 * turn;
        write(
            "transient_error_detected",
            &|agent| json!({"classification": "x", "reset_at_epoch": reset + agent, "round_num": turn, "raw": "", "phase": ""}),
        );
        wait::until("every throttle is told", || count("monitor_alert_emitted") == total(turn));
        if turn == 2 {
            early = memory_kb();
        }
    }
    let late = memory_kb();
    assert!(late < early + 8 * 1024, "{early} kB after two turns, {late} kB after {TURNS}");
    write("transient_error_recovered", &|_| json!({"classification": "x", "throttled_for_s": 1}));
    wait::until("each alert has its end", || count("monitor_alert_resolved") == total(TURNS));
    assert_eq!(count("monitor_alert_emitted"), total(TURNS));
    let mut ended: Vec<String> = Vec::new();
    for event in project.logged("monitor_alert_resolved") {
        ended.push(event["identity"].as_str().unwrap().to_owned());
    }
    ended.sort();
    ended.dedup();
    assert_eq!(ended.len(), total(TURNS), "one end for each");

    // Whoever reads again is told again, in whole lines.
    let (sender, lines) = std::sync::mpsc::channel();
    let mut monitor = monitor;
    let stdout = std::io::BufReader::new(monitor.0.stdout.take().unwrap());
    std::thread::spawn(move || {
        std::io::BufRead::lines(stdout).map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines.recv_timeout(wait::PATIENCE).unwrap();
    project.sample(&json!({"disk_used_pct": 91.0}));
    loop {
        let line = lines.recv_timeout(wait::PATIENCE).unwrap();
        let alert: serde_json::Value = serde_json::from_str(&line).unwrap();
        if alert["detector"] == "disk_warning" {
            break;
        }
    }
    monitor.0.kill().unwrap();
    let said = std::io::read_to_string(monitor.0.stderr.take().unwrap()).unwrap();
    assert_eq!(said.matches("nobody reads stdout").count(), 1, "{said}");
}

#[test]
fn a_full_disk_costs_no_alert() {
    // A file system of its own is root's to make.
    if !nix::unistd::geteuid().is_root() {
        return skip("this run is an ordinary user's");
    }
    let project = Project::new();
    let logs = project.layout.root().to_owned();
    let mount = format!(
        "mount -t tmpfs -o size=256k none {} && mkdir {}/rounds && exec \"$@\"",
        logs.display(),
        logs.display()
    );
    let inner = project.command(&["monitor", "--interval", "1", "--json"]);
    let mut outer = Command::new("unshare");
    outer.args(["--mount", "sh", "-c", &mount, "sh"]).arg(inner.get_program()).args(inner.get_args());
    outer
        .env_clear()
        .env("HOME", project.config().parent().unwrap())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    outer.stdin(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut monitor = crate::project::Running::of(&mut outer);
    // The same process all along, so its own view of the mount is below /proc.
    let inside = Layout::new(PathBuf::from(format!("/proc/{}/root{}", monitor.pid(), logs.display())));
    let mut is_up = false;
    wait::until("the monitor is up, or cannot be", || {
        is_up = inside
            .events_files()
            .iter()
            .any(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("monitor_started")));
        is_up || monitor.try_ended()
    });
    if !is_up {
        return skip("nothing can be mounted here");
    }
    let sample = |pct: f64| {
        let line = json!({"ts": time::stamp(Timestamp::now()), "event": "round_end", "disk_used_pct": pct});
        append(&inside.metrics_file(Timestamp::now()), &format!("{line}\n"));
    };
    sample(50.0);
    let filler = inside.root().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    // The last page of the samples has room on a file system that has none.
    sample(99.0);
    assert_eq!(monitor.json()["detector"], "disk_critical");
    // An open file keeps its room.
    drop(file);
    fs::remove_file(&filler).unwrap();
    sample(50.0);
    assert_eq!(monitor.json()["context"]["resolved"], true);
    monitor.signal(Signal::SIGTERM);
    assert_eq!(monitor.ended().code(), Some(0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// The small program ends at a panic, so nothing a log can say may cause one.
    #[test]
    fn nothing_in_a_log_makes_a_detector_panic(
        lines in proptest::collection::vec((0..10_usize, -5_i64..40, any::<f64>(), any::<i64>(), 0..3_usize), 0..60)
    ) {
        const KINDS: [&str; 10] = [
            "round_start", "round_end", "agent_exit", "orphan_stashed", "smoke_check_failed", "schedule_paused",
            "anomaly_repetitive_tool", "transient_error_detected", "agent_auth_error_detected", "round_deferred",
        ];
        const STAMPS: [&str; 3] = ["2026-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "no time"];
        let project = Project::new();
        let mut text = String::new();
        for (kind, round_num, float, int, stamp) in lines {
            let event = json!({
                "ts": STAMPS[stamp], "event": KINDS[kind], "round_num": round_num, "duration_s": float, "exit_code": int,
                "timed_out": int % 2 == 0, "reset_epoch": int, "resume_at": STAMPS[stamp], "reason": "x", "agent": "a",
                "rate_limit_resets_at": float, "disk_used_pct": float, "psi_some_avg10": float, "swap_sout": int,
                "mem_free_mb": int, "mem_available_mb": int, "inode_used_pct": float,
            });
            text.push_str(&format!("{event}\n"));
        }
        append(&project.layout.events_file(Timestamp::now()), &text);
        append(&project.layout.metrics_file(Timestamp::now()), &text);
        let config = Config::load(&project.config(), None).unwrap().config;
        let mut reader = Reader::new(project.layout.clone(), FIRST_LOOK, Start::End);
        reader.poll(&look(), |_| {}).unwrap();
        for now in ["1970-01-01T00:00:00Z", "2026-01-01T00:00:30Z", "9999-12-30T00:00:00Z"] {
            detectors::evaluate(reader.snapshot(), &Thresholds::of(&config), now.parse().unwrap());
        }
    }
}
