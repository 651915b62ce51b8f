//! A release with another agent goes over eight hosts in batches while rounds run: no round is cut short, and a bad
//! release ends at the canary, or at the first host of a batch.

use std::fs;

use agent_runner_tests::fleet::{Controller, PROMPT};
use agent_runner_tests::lab::{Host, Lab};
use agent_runner_tests::run::Output;
use serde_json::Value;

use super::deployed::{
    SHARE, deploy_changes, executed, fleet_of, hand_overs, in_use, is, next_good_round, runs_another_program,
};

const HOSTS: usize = 8;

fn write_release(controller: &Controller, number: u32, command: Option<&str>) {
    let path = controller.home().join("agent-runner.toml");
    let config = fs::read_to_string(&path).unwrap();
    let config = config.split("# release").next().unwrap().to_owned();
    let config = match command {
        Some(command) => config.replace("/home/ops/.local/bin/claude", command),
        None => config.replace("/bin/false", "/home/ops/.local/bin/claude"),
    };
    controller.write("agent-runner.toml", &format!("{config}# release {number}\n")).unwrap();
    controller.write("prompts/main.md", &format!("{PROMPT}Release {number}.\n")).unwrap();
}

/// The hosts as they ended, in that order, from the plain lines of progress.
fn ended(output: &Output, lab: &Lab) -> Vec<usize> {
    let place = |line: &str| {
        let (host, rest) = line.split_once(": ")?;
        let is_end = ["changed", "reverted", "failed", "ok"].iter().any(|word| rest.starts_with(word));
        lab.hosts().iter().position(|own| own.name() == host).filter(|_| is_end && rest.contains('('))
    };
    output.stderr.lines().filter_map(place).collect()
}

/// Insists that every round that began has ended well, but for the one in progress, and that none is missing.
fn no_round_was_cut_short(host: &Host) {
    let events = host.events().unwrap();
    let numbers = |kind: &str| -> Vec<i64> {
        events
            .iter()
            .filter(|event| is(event, kind))
            .filter_map(|event| event["round_num"].as_i64())
            .collect()
    };
    let started = numbers("round_start");
    assert_eq!(started, (1..).take(started.len()).collect::<Vec<i64>>(), "{}", host.name());
    let exits: Vec<&Value> = events.iter().filter(|event| is(event, "agent_exit")).collect();
    assert!(exits.len() + 1 >= started.len(), "{}: {} of {}", host.name(), exits.len(), started.len());
    for exit in exits {
        assert_eq!((&exit["exit_cause"], &exit["exit_code"]), (&"clean".into(), &0.into()), "{exit}");
    }
}

fn first_round_of(host: &Host, release: u32) -> String {
    let said = format!("grep -c 'Release {release}' demo/prompts/main.md");
    host.says(&said).unwrap()
}

#[test]
fn a_release_rolls_over_eight_hosts_in_order_and_a_bad_one_ends_at_the_first_host() {
    let Some((lab, controller)) = fleet_of(HOSTS) else { return };
    write_release(&controller, 1, None);
    deploy_changes(&controller, HOSTS);
    let folder = lab.hosts()[0].says(&format!("readlink {SHARE}/current")).unwrap();
    lab.hosts().iter().for_each(|host| runs_another_program(host, &folder));
    let before: Vec<(String, usize)> =
        lab.hosts().iter().map(|host| (host.main_pid().unwrap(), hand_overs(host))).collect();
    controller.replace("fleet.toml", "batch = [\"100%\"]", "batch = [\"1\", \"3\"]").unwrap();
    controller.replace("fleet.toml", "max_fail = \"100%\"", "max_fail = 0\nhealthy = \"round\"").unwrap();
    write_release(&controller, 2, None);
    let good = controller.run(&["deploy", "--pause", "1"]).unwrap();
    assert_eq!(good.code(), 0, "{}", good.stderr);
    assert!(
        good.stderr.contains("8 hosts, in the inventory's order, in batches of 1, 3, 3, 1 with 1 s between them; the first failure ends it"),
        "{}",
        good.stderr
    );
    let order = ended(&good, &lab);
    assert_eq!(order.len(), HOSTS, "{}", good.stderr);
    let batches = [&order[..1], &order[1..4], &order[4..7], &order[7..]].map(|batch| {
        let mut batch = batch.to_vec();
        batch.sort_unstable();
        batch
    });
    assert_eq!(batches, [vec![0], vec![1, 2, 3], vec![4, 5, 6], vec![7]], "{}", good.stderr);
    for (host, (pid, hand_overs_before)) in lab.hosts().iter().zip(before) {
        assert_eq!(first_round_of(host, 2), "1", "{}", host.name());
        // Another program goes on in the same process, handed over between two rounds, once.
        assert_eq!((host.main_pid().unwrap(), executed(host)), (pid, in_use(&folder)), "{}", host.name());
        assert_eq!(hand_overs(host), hand_overs_before + 1, "{}", host.name());
        no_round_was_cut_short(host);
    }

    write_release(&controller, 3, Some("/bin/false"));
    let bad = controller.run(&["deploy"]).unwrap();
    assert_eq!(bad.code(), 2 | 8 | 16, "{}", bad.stderr);
    assert_eq!(ended(&bad, &lab), [0], "{}", bad.stderr);
    let canary = format!(
        "{}: reverted: the service of demo: the first round of the new release ended with",
        lab.hosts()[0].name()
    );
    assert!(bad.stderr.contains(&canary), "{}", bad.stderr);
    assert!(bad.stderr.contains("not started: "), "{}", bad.stderr);
    next_good_round(&lab.hosts()[0]);
    for host in lab.hosts() {
        assert_eq!(first_round_of(host, 2), "1", "{}", host.name());
        let running = host.says("grep -c /bin/false demo/agent-runner.toml || true").unwrap();
        assert_eq!(running, "0", "{}", host.name());
    }
    lab.hosts()[1..].iter().for_each(no_round_was_cut_short);

    // The same in one batch of all: who waits for a fork is not started either.
    controller.replace("fleet.toml", "batch = [\"1\", \"3\"]", "batch = [\"100%\"]").unwrap();
    let one_by_one = controller.run(&["deploy", "-f", "1"]).unwrap();
    assert_eq!(one_by_one.code(), 2 | 8 | 16, "{}", one_by_one.stderr);
    assert_eq!(ended(&one_by_one, &lab), [0], "{}", one_by_one.stderr);
    assert!(one_by_one.stderr.contains("skipped 7"), "{}", one_by_one.stderr);
    for host in &lab.hosts()[1..] {
        assert_eq!(host.says("grep -c /bin/false demo/agent-runner.toml || true").unwrap(), "0");
    }
}
