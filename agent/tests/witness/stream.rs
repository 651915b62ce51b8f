//! The modes that hand on events.

use std::process::Stdio;

use agent_runner::store::presence::Presence;
use agent_runner::witness::stream::StreamLine;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::project::{Project, Running};
use crate::wait;

fn next(stream: &Running) -> StreamLine {
    serde_json::from_str(&stream.line()).unwrap()
}

fn cursor(event: &Value) -> String {
    let (file, offset) = event.pointer("/cursor/file").zip(event.pointer("/cursor/offset")).unwrap();
    format!("{}:{offset}", file.as_str().unwrap())
}

#[test]
fn a_stream_says_hello_state_alerts_and_then_what_happens() {
    let project = Project::new();
    project.event(10, "round_end", &json!({"round_num": 1}));
    project.sample(&json!({"disk_used_pct": 99.0}));
    let files = || std::fs::read_dir(project.layout.root()).unwrap().count();
    let before = files();
    let stream = project.start(&["monitor", "--mode", "stream"]);
    let StreamLine::Hello(hello) = next(&stream) else { panic!("no hello") };
    assert_eq!((hello.project.as_str(), hello.monitor_active), ("work", false));
    assert_eq!(hello.auto_stop_on, ["oauth_fail", "disk_critical"]);
    let StreamLine::State(state) = next(&stream) else { panic!("no state") };
    assert_eq!((state.active, state.disk_used_pct), (false, Some(99.0)));
    let StreamLine::Alert { identity, .. } = next(&stream) else { panic!("no alert") };
    assert_eq!(identity, "disk_critical");
    project.event(0, "round_start", &json!({"round_num": 2, "phase": "p"}));
    let StreamLine::Event { event, .. } = next(&stream) else { panic!("no event") };
    assert_eq!(event["round_num"], 2);
    let StreamLine::State(state) = next(&stream) else { panic!("no state") };
    assert_eq!((state.round_num, state.running), (Some(2), false));
    project.sample(&json!({"disk_used_pct": 50.0}));
    let resolved = stream.json_until(|line| line["type"] == "resolved");
    assert_eq!(resolved["detector"], "disk_critical");
    assert_eq!(files(), before, "a stream writes nothing");
}

#[test]
fn a_cursor_repeats_what_is_behind_it_and_nothing_else() {
    let project = Project::new();
    project.event(10, "round_end", &json!({"round_num": 0}));
    let stream = project.start(&["monitor", "--mode", "stream"]);
    stream.json_until(|line| line["type"] == "state");
    for n in 1..=3 {
        project.event(0, "round_end", &json!({"round_num": n}));
    }
    let is_event = |line: &Value| line["type"] == "event";
    let first = stream.json_until(is_event);
    assert_eq!(first["event"]["round_num"], 1);
    drop(stream);
    project.event(0, "round_end", &json!({"round_num": 4}));
    let again = project.start(&["monitor", "--mode", "stream", "--cursor", &cursor(&first)]);
    let replayed: Vec<Value> =
        (0..3).map(|_| again.json_until(is_event)["event"]["round_num"].clone()).collect();
    assert_eq!(replayed, [2, 3, 4]);
    assert_eq!(again.json()["type"], "state");
}

#[test]
fn a_log_that_takes_the_place_of_another_is_told_from_its_first_line() {
    let project = Project::new();
    project.event(10, "round_end", &json!({"round_num": 0}));
    let stream = project.start(&["monitor", "--mode", "stream"]);
    let place = stream.json()["cursor"].clone();
    let path = project.layout.events_files().remove(0);
    let line = |n: i64| {
        format!("{{\"ts\": \"2026-03-01T00:00:0{n}.000Z\", \"event\": \"round_end\", \"round_num\": {n}}}\n")
    };
    let text: String = (1..=5).map(line).collect();
    agent_runner::store::atomic::replace(&path, text.as_bytes()).unwrap();
    let mut told = Vec::new();
    while told.len() < 5 {
        let event = stream.json_until(|line| line["type"] == "event");
        assert_ne!(event["cursor"]["mark"], place["mark"]);
        told.push(event["event"]["round_num"].as_i64().unwrap());
    }
    assert_eq!(told, [1, 2, 3, 4, 5]);
    // Whoever comes back with a place in the old file learns that it is another one now.
    let asked = cursor(&json!({"cursor": place}));
    let hello = project.start(&["monitor", "--mode", "stream", "--cursor", &asked]).json();
    assert_eq!(
        (&hello["cursor"]["offset"], hello["cursor"]["mark"] == place["mark"]),
        (&place["offset"], false)
    );
    assert!(place["mark"].is_u64() && hello["cursor"]["mark"].is_u64(), "{place} {hello}");
}

#[test]
fn a_stream_says_what_cannot_be_judged() {
    let project = Project::new();
    project.unreadable_round(1);
    let stream = project.start(&["monitor", "--mode", "stream"]);
    let state = stream.json_until(|line| line["type"] == "state");
    assert_eq!(state["cannot_judge"][0]["detector"], "oauth_fail");
    // A round that logs in is the newest, and a log that is gone says nothing.
    for entry in std::fs::read_dir(project.layout.rounds_dir()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let again = project.start(&["monitor", "--mode", "stream"]);
    assert!(again.json_until(|line| line["type"] == "state").get("cannot_judge").is_none());
}

#[test]
fn a_stream_ends_with_its_reader_or_its_writer() {
    let project = Project::new();
    let mut stream = project.start(&["monitor", "--mode", "stream"]);
    assert_eq!(stream.json()["type"], "hello");
    stream.close_stdin();
    assert_eq!(stream.ended().code(), Some(0));

    let mut command = project.command(&["monitor", "--mode", "stream"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    wait::until("a stream without a reader ends", || child.try_wait().unwrap().is_some());
}

#[test]
fn a_stream_knows_whether_a_monitor_is_here() {
    let project = Project::new();
    let monitor = project.start(&["monitor", "--interval", "1"]);
    wait::until("the monitor is up", || Presence::is_announced(&project.layout.monitor_lock()));
    let hello = project.start(&["monitor", "--mode", "stream"]).json();
    assert_eq!(hello["monitor_active"], true);
    drop(monitor);
    wait::until("the sign is gone", || !Presence::is_announced(&project.layout.monitor_lock()));
}

#[test]
fn narrate_tells_everything_and_events_only_what_is_new() {
    let project = Project::new();
    project.event(0, "round_end", &json!({"round_num": 1}));
    let mut narrate = project.start(&["monitor", "--mode", "narrate"]);
    assert!(narrate.line().ends_with("] round_end            round=1"));
    // Up once it has printed; the events mode says nothing before the first new line, so it gets one at a time.
    let mut events = project.start(&["monitor", "--mode", "events"]);
    let mut written = 1;
    let mut seen = None;
    wait::until("the new event is handed on", || {
        written += 1;
        project.event(0, "round_end", &json!({"round_num": written}));
        seen = events.try_line();
        seen.is_some()
    });
    assert!(!seen.unwrap().contains("\"round_num\": 1}"));
    assert!(narrate.line().ends_with("round=2"));
    for running in [&mut narrate, &mut events] {
        running.signal(Signal::SIGINT);
        assert_eq!(running.ended().code(), Some(0));
    }
}
