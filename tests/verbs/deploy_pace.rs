//! How far a rollout goes and how long a host may take, without a host that is changed.

use std::net::TcpListener;

use agent_runner_tests::fleet::CONFIG;
use agent_runner_tests::run::Output;
use agent_runner_tests::sshd::SshdOptions;

use super::loopback::{Loopback, loopback};

const PROJECT: &str = r#"
[projects.demo]
on = "all"
work_dir = "~/demo"
config = "agent-runner.toml"
service = { scope = "detached", monitor = false }

[rollout]
batch = ["100%"]
max_fail = 0
"#;

/// Hosts, `silent` the first where there is one, whose sessions begin with this line; `None` where there is no server.
fn fleet(hosts: &str, session: &str) -> Option<Loopback> {
    let options = SshdOptions { session_lines: vec![session.to_owned()], ..SshdOptions::default() };
    let fleet = loopback(4, options)?;
    let inventory = format!("[fleet]\nname = \"loop\"\n[groups.loop]\nhosts = [{hosts}]\n{PROJECT}");
    fleet.controller.write("fleet.toml", &inventory).unwrap();
    fleet.controller.write("agent-runner.toml", CONFIG).unwrap();
    Some(fleet)
}

/// A host that takes connections and says nothing, called `silent`.
fn silent(fleet: &Loopback) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let own = format!("Host silent\n    HostName 127.0.0.1\n    Port {port}\n");
    let config = fleet.sshd.ssh_config("pi*");
    fleet.controller.write(".ssh/config", &format!("{own}{config}")).unwrap();
    listener
}

/// The hosts of the lines of progress and how they ended, in the order in which they did.
fn ends(output: &Output) -> Vec<(String, String)> {
    let mut ends: Vec<(String, String)> = Vec::new();
    for line in output.stderr.lines() {
        let Some((host, rest)) = line.split_once(": ") else { continue };
        let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
        let is_end = ["ok", "changed", "failed", "unreachable", "skipped"].contains(&word.as_str());
        if is_end && rest.contains('(') && !ends.iter().any(|(known, _)| known == host) {
            ends.push((host.to_owned(), word));
        }
    }
    ends
}

fn of(ends: &[(&str, &str)]) -> Vec<(String, String)> {
    ends.iter().map(|(host, word)| ((*host).to_owned(), (*word).to_owned())).collect()
}

#[test]
fn after_too_many_failures_no_further_host_of_the_same_batch_is_started() {
    let Some(fleet) = fleet("\"pi[1-4]\"", "exit 3") else { return };
    let output = fleet.controller.run(&["deploy", "-f", "1"]).unwrap();
    assert_eq!(output.code(), 2 | 8, "{}", output.stderr);
    assert_eq!(ends(&output), of(&[("pi1", "failed")]), "{}", output.stderr);
    assert!(output.stderr.contains("not started: pi[2-4]"), "{}", output.stderr);
    assert!(output.stderr.contains("4 hosts: ok 0  changed 0  failed 1  skipped 3"), "{}", output.stderr);
}

#[test]
fn a_canary_that_fails_ends_the_run_although_many_may_fail() {
    let Some(fleet) = fleet("\"pi[1-4]\"", "exit 3") else { return };
    for verb in ["deploy", "push"] {
        let output = fleet.controller.run(&[verb, "--canary", "1", "--max-fail", "3"]).unwrap();
        assert_eq!(output.code(), 2 | 8, "{verb}: {}", output.stderr);
        assert_eq!(ends(&output), of(&[("pi1", "failed")]), "{verb}: {}", output.stderr);
        assert!(output.stderr.contains("not started: pi[2-4]"), "{verb}: {}", output.stderr);
        let said = "in batches of 1, 3; a failure among the first 1 ends it, later more than 3 do";
        assert!(output.stderr.contains(said), "{verb}: {}", output.stderr);
    }
}

#[test]
fn a_rollback_of_the_last_run_needs_one_that_is_known() {
    let Some(fleet) = fleet("\"pi[1-2]\"", "exit 3") else { return };
    let unknown = fleet.controller.run(&["rollback", "--run", "last"]).unwrap();
    assert_eq!(unknown.code(), 5, "{}", unknown.stderr);
    assert!(
        unknown.stderr.contains("no deploy or push of fleet loop is recorded here"),
        "{}",
        unknown.stderr
    );
    let pushed = fleet.controller.run(&["push", "-f", "1"]).unwrap();
    assert_eq!(pushed.code(), 2 | 8, "{}", pushed.stderr);
    let known = fleet.controller.run(&["rollback", "-f", "1", "--run", "last"]).unwrap();
    assert_eq!(known.code(), 2 | 8, "{}", known.stderr);
}

#[test]
fn a_silent_host_holds_nobody_up_and_a_threshold_passed_meanwhile_counts() {
    let Some(fleet) = fleet("\"silent\", \"pi[1-2]\"", "exit 3") else { return };
    let _silent = silent(&fleet);
    let output = fleet.controller.run(&["deploy", "-f", "1", "--connect-timeout", "5"]).unwrap();
    assert_eq!(output.code(), 2 | 4 | 8, "{}", output.stderr);
    assert_eq!(ends(&output), of(&[("pi1", "failed"), ("silent", "unreachable")]), "{}", output.stderr);
    assert!(output.stderr.contains("not started: pi2"), "{}", output.stderr);
}

#[test]
fn a_look_at_a_host_that_hangs_ends_with_the_time_it_may_take() {
    let Some(fleet) = fleet("\"pi[1-2]\"", "sleep 300") else { return };
    for line in [&["plan", "--timeout", "2"][..], &["deploy", "--timeout", "2", "--max-fail", "100%"]] {
        let output = fleet.controller.run(line).unwrap();
        let verb = line.join(" ");
        assert_eq!(output.code(), 2, "{verb}: {}", output.stderr);
        assert!(output.stderr.contains("failed: no result within 2 s"), "{verb}: {}", output.stderr);
        assert!(output.stderr.contains("hint: give it longer with --timeout"), "{verb}: {}", output.stderr);
    }
}
