//! The page, as a browser and a program ask for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::project::{Project, Running};
use crate::wait::PATIENCE;

fn serve(project: &Project) -> (Running, String) {
    let running = project.start(&["monitor", "--mode", "http", "--port", "0"]);
    let address = running.line();
    let address = address.strip_prefix("http://").and_then(|rest| rest.strip_suffix('/')).unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    (running, address.to_owned())
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn get(address: &str, path: &str) -> (String, String) {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"))
}

fn write(project: &Project, name: &str, text: &str) {
    agent_runner::store::atomic::replace(&project.layout.root().join(name), text.as_bytes()).unwrap();
}

#[test]
fn the_state_and_the_page_tell_what_the_log_dir_holds() {
    let project = Project::new();
    write(
        &project,
        "status.json",
        r#"{"round_num": 4, "running": false, "last_completed_at": "2026-03-01T00:00:00.000Z", "last_exit_code": 0, "last_duration_s": 12.5, "current_phase": "build"}"#,
    );
    write(&project, "narrative.md", &(1..=60).map(|n| format!("line {n}\n")).collect::<String>());
    write(&project, "round-current.log", "<script>alert(1)</script>\n");
    write(&project, ".agent-done", "all <b>done</b>\n");
    for n in 0..25 {
        project.event(30, "round_end", &json!({"round_num": n}));
    }
    let reset = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(900)).as_second();
    let throttle = json!({"classification": "five_hour", "agent": "true", "reset_at_epoch": reset, "round_num": 4, "raw": "", "phase": "build"});
    project.event(5, "transient_error_detected", &throttle);
    let (mut running, address) = serve(&project);

    let (head, body) = get(&address, "/api/state");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"), "{head}");
    let state: Value = serde_json::from_str(&body).unwrap();
    let keys: Vec<&String> = state.as_object().unwrap().keys().collect();
    let mut expected =
        ["round_state", "narrative", "recent_events", "round_log_tail", "self_terminated", "rate_limit"];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(
        state["round_state"],
        json!({"round_num": 4, "phase": "build", "running": false, "last_outcome": "ok", "last_duration_s": 12.5, "last_completed_at": "2026-03-01T00:00:00.000Z"})
    );
    assert_eq!(state["narrative"].as_str().unwrap().lines().count(), 50);
    assert_eq!(state["recent_events"].as_array().unwrap().len(), 20);
    assert_eq!(state["recent_events"][19]["event"], "transient_error_detected");
    assert_eq!(state["self_terminated"], json!({"present": true, "reason": "all <b>done</b>"}));
    assert_eq!(
        (&state["rate_limit"]["limit_type"], &state["rate_limit"]["since_round"]),
        (&json!("five_hour"), &json!(4))
    );

    let (head, page) = get(&address, "/");
    assert!(head.contains("Content-Security-Policy: default-src 'none'; "), "{head}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script>alert"));
    assert!(page.contains("all &lt;b&gt;done&lt;/b&gt;"));
    for asset in ["/page.css", "/page.js"] {
        assert!(page.contains(asset));
        assert!(get(&address, asset).0.starts_with("HTTP/1.1 200 OK"));
    }
    running.signal(Signal::SIGTERM);
    assert_eq!(running.ended().code(), Some(0));
}

#[test]
fn the_page_names_what_cannot_be_judged() {
    let project = Project::new();
    project.unreadable_round(1);
    let (_running, address) = serve(&project);
    let (_, page) = get(&address, "/");
    assert!(page.contains("<span class=\"warning\">oauth_fail cannot judge: the log of round 1: "), "{page}");
    assert!(!page.contains("<p class=\"good\">none</p>"), "{page}");
}

#[test]
fn a_follower_gets_what_changes_as_it_changes() {
    let project = Project::new();
    let (_running, address) = serve(&project);
    let mut stream = connect(&address);
    write!(stream, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "Content-Type: text/event-stream"));
    let mut sections = || -> Value {
        let data = lines.find_map(|line| line.strip_prefix("data: ").map(str::to_owned)).unwrap();
        serde_json::from_str(&data).unwrap()
    };
    assert_eq!(sections()["events"], "<p class=\"dim\">nothing yet</p>");
    project.event(0, "round_end", &json!({"round_num": 77}));
    assert!(sections()["events"].as_str().unwrap().contains("round=77"));
}

#[test]
fn what_is_not_a_question_from_this_machine_is_refused() {
    let project = Project::new();
    let (_running, address) = serve(&project);
    for (request, status) in [
        ("GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", "405"),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"),
        ("nonsense\r\n\r\n", "400"),
        ("GET / HTTP/3\r\nHost: localhost\r\n\r\n", "505"),
        (&format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(9000)), "431"),
    ] {
        let (head, _) = ask(&address, request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

#[test]
fn idle_clients_are_bounded_and_hold_nobody_up() {
    let project = Project::new();
    let (_running, address) = serve(&project);
    let mut idle: Vec<TcpStream> = (0..20).map(|_| connect(&address)).collect();
    idle.iter_mut().for_each(|stream| stream.write_all(b"GET / HT").unwrap());
    assert!(get(&address, "/api/state").0.starts_with("HTTP/1.1 200 OK"));
    idle.extend((0..20).map(|_| connect(&address)));
    // The thirty-second place is free again as soon as somebody leaves.
    let mut waiting = connect(&address);
    write!(waiting, "GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    drop(idle);
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[test]
fn a_taken_port_is_said_so() {
    let project = Project::new();
    let (_running, address) = serve(&project);
    let (_, port) = address.rsplit_once(':').unwrap();
    let output = project.run(&["monitor", "--mode", "http", "--port", port]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("port {port} of 127.0.0.1 cannot be opened")), "{said}");
    assert_eq!(project.run(&["monitor", "--port", "1"]).status.code(), Some(2));
}
