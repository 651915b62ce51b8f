//! Hosts that are down, refuse the key or hang: each is named with its cause, and no other host waits for them.

use std::time::Duration;

use agent_runner_tests::fleet::{Controller, Running};
use agent_runner_tests::lab::{Host, Lab};
use agent_runner_tests::run::Output;
use agent_runner_tests::wait;

use super::deployed::{fleet_of, next_good_round, result_of, text};

const HOOK: Duration = Duration::from_secs(60);

/// Starts a verb on all hosts and waits until `is_done` holds for the good one, while the hanging one still hangs.
fn run(controller: &Controller, verb: &str, is_done: impl Fn(&Running) -> bool) -> Output {
    let running = controller.start(&[verb, "--json", "-v"]).unwrap();
    assert!(wait::until(HOOK, || is_done(&running)));
    assert!(running.process().is_some_and(|process| process.is_alive()), "it waits for the others");
    running.wait(Duration::from_secs(120)).unwrap()
}

fn each_is_named_with_its_cause(output: &Output, lab: &Lab) {
    let [good, down, refusing, hanging] = lab.hosts() else { panic!("four hosts") };
    let said = |host: &Host| {
        let result = result_of(output, host);
        (text(&result["result"]), text(&result["message"]), text(&result["hint"]))
    };
    assert!(["ok", "changed"].contains(&said(good).0.as_str()), "{}", output.stdout);
    for (host, causes) in [
        (down, vec!["cannot connect to", "no answer from"]),
        (refusing, vec!["was not let in"]),
        (hanging, vec!["no answer from", "closed the connection"]),
    ] {
        let (status, message, _) = said(host);
        assert_eq!(status, "unreachable", "{}: {message}", host.name());
        assert!(causes.iter().any(|cause| message.contains(cause)), "{}: {message}", host.name());
        assert!(message.contains(&host.address().to_string()) || host.name() == refusing.name(), "{message}");
        let line = format!("{}: unreachable: ", host.name());
        assert!(output.stderr.contains(&line), "{}", output.stderr);
    }
    let (_, message, hint) = said(refusing);
    assert!(message.contains("ops was not let in") && message.contains("id_ed25519"), "{message}");
    assert!(hint.contains("authorized_keys"), "{hint}");
    assert_eq!(output.code(), 4, "{}", output.stderr);
}

#[test]
fn hosts_that_are_down_refuse_or_hang_delay_nobody_and_are_named_with_their_cause() {
    let Some((lab, controller)) = fleet_of(4) else { return };
    let [good, down, refusing, hanging] = lab.hosts() else { panic!("four hosts") };
    down.pull_plug().unwrap();
    refusing.says("mv .ssh/authorized_keys .ssh/none").unwrap();
    hanging.root("kill -STOP $(systemctl show --property MainPID --value ssh)").unwrap().checked().unwrap();

    let logged_in =
        || good.root("journalctl --unit ssh | grep -c Accepted").unwrap().stdout.trim().to_owned();
    let pinged = run(&controller, "ping", |_| logged_in() != "0");
    each_is_named_with_its_cause(&pinged, &lab);

    let works = |_: &Running| good.unit_state().is_ok_and(|state| state == "active");
    let deployed = run(&controller, "deploy", works);
    each_is_named_with_its_cause(&deployed, &lab);
    assert_eq!(result_of(&deployed, good)["result"], "changed");
    next_good_round(good);
    let again = controller.run(&["ping", "--json", "--limit", "@unreached"]).unwrap();
    assert_eq!(again.json_lines().unwrap().len(), 3, "{}", again.stdout);
}

#[test]
fn a_host_that_fails_is_told_apart_from_one_that_cannot_be_reached() {
    let Some((lab, controller)) = fleet_of(2) else { return };
    let [good, without_git] = lab.hosts() else { panic!("two hosts") };
    without_git.root("mv /usr/bin/git /usr/bin/git.away").unwrap().checked().unwrap();
    let output = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!(output.code(), 2, "{}", output.stderr);
    let result = result_of(&output, without_git);
    assert_eq!(result["message"], "git is not installed");
    assert!(text(&result["hint"]).contains("install git"), "{result}");
    assert!(without_git.says("ls .local/share").is_err(), "nothing was put there");
    next_good_round(good);
    without_git.pull_plug().unwrap();
    good.says("printf '#!/bin/sh\\nexit 3\\n' >bin-true && chmod +x bin-true").unwrap();
    let output = controller.run(&["exec", "--json", "--", "./bin-true"]).unwrap();
    assert_eq!(output.code(), 2 | 4, "{}", output.stderr);
}
