use std::fs;

use agent_runner_tests::sshd::SshdOptions;
use serde_json::Value;

use super::loopback::{Loopback, SHELF, loopback};

/// A project whose agent says of itself that it runs.
fn with_project(fleet: &Loopback) {
    fleet.add(SHELF);
    // The first host to ask is the last to be answered.
    let agent = "#!/bin/sh\nn=$(mkdir \"$HOME/n\" 2>/dev/null && echo first)\n[ -z \"$n\" ] || sleep 1\n\
                 case \"$*\" in\n*status*) echo '{\"mode\":\"pid_file\",\"active\":true,\"pid\":7,\"uptime_s\":61,\"unit_file\":null,\"rate_limit\":null,\"system_managed\":false}' ;;\n\
                 *) echo \"no round there\" >&2; exit 1 ;;\nesac\n";
    fleet.install(agent);
}

/// The lines of a verb that say how a host ended, and the exit code.
fn ends(fleet: &Loopback, arguments: &[&str]) -> (Vec<Value>, i32) {
    let output = fleet.controller.run(arguments).unwrap();
    let lines = output.json_lines().unwrap();
    assert!(lines.iter().all(|line| line["schema"] == 1), "{arguments:?}: {lines:?}");
    (lines.into_iter().filter(|line| !line["result"].is_null()).collect(), output.code())
}

/// Insists that each host ended so, in the order of the inventory.
fn check(fleet: &Loopback, arguments: &[&str], (result, code): (&str, i32)) -> Vec<Value> {
    let (lines, ended) = ends(fleet, arguments);
    assert_eq!(ended, code, "{arguments:?}: {lines:?}");
    let said: Vec<(&str, &str)> =
        lines.iter().map(|line| (line["host"].as_str().unwrap(), line["result"].as_str().unwrap())).collect();
    let expected = [("pi1", result), ("pi2", result), ("pi3", result)];
    let mut sorted = said.clone();
    sorted.sort_unstable();
    // Only `exec` shows a host as soon as it has ended.
    let in_order = if arguments.first() == Some(&"exec") { &sorted } else { &said };
    assert_eq!(*in_order, expected, "{arguments:?}");
    for line in &lines {
        for key in ["message", "hint", "tail"] {
            assert!(line[key].is_string(), "{arguments:?}: {key}: {line}");
        }
    }
    lines
}

const VERBS: [&[&str]; 6] = [
    &["ping", "--json"],
    &["exec", "--json", "--", "true"],
    &["ssh-check", "--json"],
    &["trust", "--json", "--yes"],
    &["status", "--json"],
    &["logs", "--json", "--source", "round"],
];

#[test]
fn every_verb_says_in_one_form_how_each_host_ended() {
    let Some(mut fleet) = loopback(3, SshdOptions::default()) else { return };
    with_project(&fleet);
    let keys = &check(&fleet, VERBS[3], ("ok", 0))[0]["keys"];
    assert_eq!((&keys[0]["algorithm"], &keys[0]["state"]), (&"ssh-ed25519".into(), &"known".into()));
    let line = &check(&fleet, VERBS[4], ("ok", 0))[0];
    assert_eq!((&line["project"], &line["service"]["active"]), (&"shelf".into(), &true.into()));
    check(&fleet, VERBS[0], ("ok", 0));
    check(&fleet, VERBS[1], ("ok", 0));
    check(&fleet, VERBS[2], ("ok", 0));
    let line = &check(&fleet, VERBS[5], ("failed", 2))[0];
    assert_eq!(line["tail"], "no round there");
    fleet.sshd.stop();
    for verb in VERBS {
        check(&fleet, verb, ("unreachable", 4));
    }
}

#[test]
fn hosts_whose_command_was_cut_short_or_never_started_have_a_line_too() {
    let Some(fleet) = loopback(3, SshdOptions::default()) else { return };
    let command = ["exec", "--json", "--forks", "1", "--", "echo begun; touch go; exec sleep 600"];
    let run = fleet.controller.start(&command).unwrap();
    let go = fleet.sshd.home().join("go");
    assert!(agent_runner_tests::wait::until(agent_runner_tests::wait::DEADLINE, || go.exists()));
    run.signal(nix::sys::signal::Signal::SIGINT);
    run.wait_for_error(agent_runner_tests::wait::DEADLINE, "starting no more hosts").unwrap();
    run.signal(nix::sys::signal::Signal::SIGINT);
    let output = run.wait(agent_runner_tests::wait::DEADLINE).unwrap();
    assert_eq!(output.code(), 130, "{}", output.stderr);
    let lines = output.json_lines().unwrap();
    let said: Vec<&Value> = lines.iter().map(|line| &line["result"]).collect();
    assert_eq!(said, ["failed", "skipped", "skipped"], "{lines:?}");
    assert!(lines.iter().all(|line| line["code"].is_null()), "{lines:?}");
}

#[test]
fn keys_that_were_recorded_and_hosts_that_could_not_be_asked_are_told_apart() {
    let Some(fleet) = loopback(2, SshdOptions::default()) else { return };
    fs::write(fleet.sshd.known_hosts(), "").unwrap();
    let config = fs::read_to_string(fleet.controller.home().join(".ssh/config")).unwrap();
    fleet.controller.write(".ssh/config", &format!("Host pi2\n    Port 1\n{config}")).unwrap();
    let unasked = fleet.controller.run(&["trust", "--json"]).unwrap();
    assert_eq!(unasked.code(), 5, "{}", unasked.stderr);
    assert!(unasked.stderr.contains("hint: answer with --yes"), "{}", unasked.stderr);
    assert_eq!(unasked.json_lines().unwrap()[0]["keys"][0]["state"], "new");
    let (lines, code) = ends(&fleet, &["trust", "--json", "--yes"]);
    assert_eq!(code, 4, "the host that could not be asked is not forgotten: {lines:?}");
    assert_eq!((&lines[0]["result"], &lines[1]["result"]), (&"changed".into(), &"unreachable".into()));
    assert_eq!(lines[0]["keys"][0]["state"], "recorded");
    assert_eq!(fleet.controller.run(&["ping", "pi1"]).unwrap().code(), 0);
}
