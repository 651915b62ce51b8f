//! `monitor --serve`: the page's server inside the real program, over a real host.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use agent_runner_tests::dashboard::{Ask, ask};
use agent_runner_tests::fleet::Running;
use agent_runner_tests::wait;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::fleet_view::watched;

/// Where it says that it is served.
pub(super) fn address(running: &Running) -> SocketAddr {
    running.wait_for_error(wait::DEADLINE, "dashboard: http://").unwrap();
    let said = running.complained();
    let rest = said.split("http://").nth(1).unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

fn get(address: SocketAddr, path: &str) -> Value {
    ask(address, Ask { path, ..Ask::default() }).unwrap().json().unwrap()
}

#[test]
fn a_monitor_that_serves_shows_a_stop_and_resumes_the_host_for_who_has_the_token() {
    let Some(fleet) = watched() else { return };
    let controller = &fleet.controller;
    let monitor = controller.start(&["monitor", "--json", "--serve", "127.0.0.1:0"]).unwrap();
    let address = address(&monitor);
    let standing = || get(address, "/api/v1/hosts")["hosts"][0]["standing"].clone();
    assert!(wait::until(wait::DEADLINE, || standing() == "auto_stopped"), "{}", standing());
    let token_file = controller.home().join(".local/state/agent-runner-fleet");
    let token_file = fs::read_dir(token_file)
        .unwrap()
        .flatten()
        .find(|entry| entry.path().extension().is_some_and(|end| end == "token"));
    let token_file = token_file.unwrap().path();
    assert!(monitor.complained().contains(token_file.to_str().unwrap()), "{}", monitor.complained());
    assert_eq!(fs::metadata(&token_file).unwrap().permissions().mode() & 0o777, 0o600);

    fs::write(fleet.sshd.home().join("well"), "").unwrap();
    let bearer = format!("Bearer {}", fs::read_to_string(&token_file).unwrap().trim());
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let body = r#"{"action":"resume","services":[]}"#;
    let refused =
        ask(address, Ask { method: "POST", path: "/api/v1/actions", headers: &headers[1..], body }).unwrap();
    assert_eq!(refused.status, 401);
    let done =
        ask(address, Ask { method: "POST", path: "/api/v1/actions", headers: &headers, body }).unwrap();
    assert!(done.status == 200 || done.status == 202, "{done:?}");
    assert!(wait::until(wait::DEADLINE, || standing() == "active"), "{}", standing());
    let actions = get(address, "/api/v1/actions");
    assert_eq!(actions["actions"][0]["said"], "1 brought back", "{actions}");
    // The agent of this host refuses; that somebody asked is written down all the same, and what became of it.
    let body = r#"{"action":"stop","host":"pi1","project":"shelf"}"#;
    let asked =
        ask(address, Ask { method: "POST", path: "/api/v1/actions", headers: &headers, body }).unwrap();
    assert!(asked.status == 200 || asked.status == 202, "{asked:?}");
    let stop = || get(address, "/api/v1/actions")["actions"][0].clone();
    assert!(wait::until(wait::DEADLINE, || stop()["status"] == "failed"), "{}", stop());
    let metrics = ask(address, Ask { path: "/metrics", ..Ask::default() }).unwrap().body;
    assert!(
        metrics.lines().any(|line| line.starts_with("agent_runner_auto_stops_total{")
            && line.ends_with("by=\"controller\"} 1")),
        "{metrics}"
    );

    monitor.signal(Signal::SIGINT);
    let output = monitor.wait(wait::DEADLINE).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    assert!(ask(address, Ask { path: "/", ..Ask::default() }).is_err(), "nobody listens any more");

    let audit = controller.run(&["audit", "--local"]).unwrap();
    for said in ["asked resume by ", "asked stop by ", "(dashboard)", " failed: pi1/shelf: unknown: "] {
        assert!(audit.stdout.contains(said), "{said}: {}", audit.stdout);
    }
}

#[test]
fn a_token_file_that_others_can_read_and_an_address_that_is_taken_are_named() {
    let Some(fleet) = watched() else { return };
    fleet.controller.write("token", "0123456789abcdef0123").unwrap();
    let token = fleet.controller.home().join("token");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let arguments =
        |address: &str| ["monitor", "--serve", address, "--token-file", "token"].map(str::to_owned);
    let run = |address: &str| {
        let arguments = arguments(address);
        fleet.controller.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
    };
    let output = run("127.0.0.1:0");
    assert_eq!(output.code(), 1);
    assert!(
        output.stderr.contains("can be read by others (mode 644)") && output.stderr.contains("hint: "),
        "{}",
        output.stderr
    );
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&address);
    assert_eq!(output.code(), 1);
    assert!(output.stderr.contains(&format!("the dashboard on {address}")), "{}", output.stderr);
}
