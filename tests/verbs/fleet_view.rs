//! `monitor` with what it leaves behind: `alerts`, `silence`, `history`, `resume`, `events`, `peek`.

use std::fs;
use std::time::Duration;

use agent_runner_tests::dashboard::{Ask, ask};
use agent_runner_tests::fleet::Controller;
use agent_runner_tests::sshd::SshdOptions;
use agent_runner_tests::wait;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::loopback::{Loopback, SHELF, loopback};

const DEADLINE: Duration = Duration::from_secs(60);

/// An agent with one failing login: it streams until it is stopped, and can be stopped and started again.
const AGENT: &str = r#"#!/bin/sh
stopped="$HOME/stopped"
case "$*" in
*' monitor --mode stream'*)
    at=$(date -u +%Y-%m-%dT%H:%M:%S.000Z)
    echo '{"type":"hello","protocol":1,"version":"0.1.0","project":"shelf","boot_id":"b","at":"'$at'","monitor_active":false,"auto_stop_on":["oauth_fail"],"cursor":{"file":"events-2026-11.jsonl","offset":0}}'
    case "$*" in *:7*) ;; *) echo '{"type":"event","cursor":{"file":"events-2026-11.jsonl","offset":7},"event":{"ts":"'$at'","event":"agent_exit","round_num":1,"exit_code":1,"duration_s":2.0,"timed_out":false,"exit_cause":"error"}}' ;; esac
    state() { echo '{"type":"state","active":'$1',"round_num":1,"phase":null,"running":false,"since":null,"last_exit_code":1,"last_duration_s":2.0,"disk_used_pct":10.0,"throttled_until":null}'; }
    was=
    exec 3<&0; cat <&3 >/dev/null & w=$!
    while kill -0 $w 2>/dev/null; do
        if [ -e "$stopped" ]; then now=false; else now=true; fi
        if [ "$now" != "$was" ]; then
            state $now
            [ "$now" = false ] || [ -e "$HOME/well" ] || echo '{"type":"alert","identity":"oauth_fail","alert":{"severity":"critical","detector":"oauth_fail","message":"3/10 failed auth","context":{},"ts":"'$at'","auto_action":"stop_service"}}'
            [ "$now" = true ] || echo '{"type":"resolved","detector":"oauth_fail","identity":"oauth_fail","firing_for_s":1}'
        fi
        was=$now
        echo '{"type":"heartbeat","at":"'$(date -u +%Y-%m-%dT%H:%M:%S.000Z)'"}'
        sleep 1
    done ;;
*' stop --because oauth_fail'*) : >"$stopped"; echo '{"mode":"pid_file","active":false,"pid":null,"uptime_s":null,"unit_file":null,"rate_limit":null,"system_managed":false}' ;;
*' start'*) rm -f "$stopped"; echo '{"mode":"pid_file","active":true,"pid":1,"uptime_s":1,"unit_file":null,"rate_limit":null,"system_managed":false}' ;;
*' events --kind agent_exit'*) echo '{"ts":"2026-11-01T00:00:01.000Z","event":"agent_exit","round_num":1}' ;;
*' peek --select service'*) echo '{"mode":"pid_file","active":true}' ;;
*) echo "unknown: $*" >&2; exit 1 ;;
esac
"#;

pub(super) fn watched() -> Option<Loopback> {
    let fleet = loopback(1, SshdOptions::default())?;
    fleet.add(&format!("{SHELF}[[sinks]]\ntype = \"jsonl\"\npath = \"alerts.jsonl\"\n"));
    fleet.install(AGENT);
    Some(fleet)
}

fn json(controller: &Controller, arguments: &[&str]) -> Vec<Value> {
    let output = controller.run(arguments).unwrap();
    assert_eq!(output.code(), 0, "{arguments:?}: {}", output.stderr);
    output.json_lines().unwrap()
}

#[test]
fn a_stop_is_seen_by_every_verb_while_the_monitor_runs_and_after_it_was_killed() {
    let Some(fleet) = watched() else { return };
    let controller = &fleet.controller;
    let monitor = controller.start(&["monitor", "--json"]).unwrap();
    monitor.wait_for(DEADLINE, |line| line["type"] == "stopped").unwrap();
    monitor.wait_for(DEADLINE, |line| line["type"] == "resolved").unwrap();
    let past = || json(controller, &["alerts", "--since", "1h", "--json"]);
    assert!(
        wait::until(DEADLINE, || past().iter().any(|alert| alert["status"] == "resolved")),
        "{:?}",
        past()
    );
    // A second monitor of the fleet looks on.
    let second = controller.run(&["monitor", "--json", "--for", "3"]).unwrap();
    assert!(second.stderr.contains("this one looks on"), "{}", second.stderr);
    monitor.signal(Signal::SIGKILL);
    let _ = monitor.wait(DEADLINE).unwrap();

    let kinds = |lines: &[Value]| -> Vec<String> {
        lines.iter().map(|line| format!("{} {}", line["kind"], line["name"]).replace('"', "")).collect()
    };
    let history = kinds(&json(controller, &["history", "--json"]));
    for kind in
        ["event agent_exit", "alert oauth_fail", "resolved oauth_fail", "stop oauth_fail", "link link_up"]
    {
        assert_eq!(history.iter().filter(|line| *line == kind).count(), 1, "{kind}: {history:?}");
    }
    let chart = controller.run(&["history", "--chart", "--since", "2h"]).unwrap();
    assert!(chart.stdout.contains("failures"), "{}", chart.stdout);
    let sent = fs::read_to_string(controller.home().join("alerts.jsonl")).unwrap();
    assert_eq!(sent.lines().count(), 2, "fired and resolved: {sent}");

    // Brought back without a monitor; the next one neither stops nor sends anything of it again.
    fs::write(fleet.sshd.home().join("well"), "").unwrap();
    let back = json(controller, &["resume", "--yes", "--json"]);
    assert!(back.len() == 1 && back.iter().all(|line| line["resumed"] == true), "{back:?}");
    let again = controller.start(&["monitor", "--json"]).unwrap();
    again.wait_for(DEADLINE, |line| line["type"] == "state").unwrap();
    again.signal(Signal::SIGINT);
    let output = again.wait(DEADLINE).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    assert!(!output.stdout.contains("\"agent_exit\""), "the event was told before: {}", output.stdout);
    assert_eq!(fs::read_to_string(controller.home().join("alerts.jsonl")).unwrap(), sent);
}

#[test]
fn an_open_alert_its_acknowledgement_and_a_silence_outlive_a_kill_and_nothing_is_sent_again() {
    let Some(fleet) = watched() else { return };
    let controller = &fleet.controller;
    // The alert asks for a stop that nobody grants: it stays open.
    fleet.add("\n[monitor]\nauto_stop = []\n");
    let open = || json(controller, &["alerts", "--json"]);
    let sent = || fs::read_to_string(controller.home().join("alerts.jsonl")).unwrap_or_default();
    let monitor = controller.start(&["monitor", "--json"]).unwrap();
    assert!(wait::until(DEADLINE, || sent().lines().count() == 1), "{}", sent());
    let id = open().first().unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(controller.run(&["alerts", "--ack", &id]).unwrap().code(), 0);
    json(controller, &["silence", "detector=hung", "--for", "1h", "--json"]);
    let silences = json(controller, &["silence", "--json"]);
    monitor.wait_for(DEADLINE, |line| line["type"] == "alert_changed").unwrap();
    monitor.signal(Signal::SIGKILL);
    let _ = monitor.wait(DEADLINE).unwrap();
    let (before, told) = (open(), sent());

    let again = controller.start(&["monitor", "--json"]).unwrap();
    again.wait_for(DEADLINE, |line| line["type"] == "state").unwrap();
    // The host has named what still fires, and nothing of it is news.
    let output = controller.run(&["monitor", "--for", "6"]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    again.signal(Signal::SIGINT);
    let output = again.wait(DEADLINE).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    for word in ["\"alert\"", "\"resolved\"", "\"notice\""] {
        assert!(!output.stdout.contains(&format!("\"type\":{word}")), "{word}: {}", output.stdout);
    }
    assert_eq!(sent(), told, "nothing is sent again");
    assert_eq!(json(controller, &["silence", "--json"]), silences);
    for (now, then) in open().iter().zip(&before) {
        assert_eq!(now["acknowledged_by"], then["acknowledged_by"]);
        assert_eq!((&now["id"], &now["since"]), (&then["id"], &then["since"]));
        assert!(!now["acknowledged_by"].is_null(), "{now}");
    }
    assert_eq!((open().len(), before.len()), (1, 1));
}

#[test]
fn a_host_that_left_the_inventory_is_heard_of_no_more() {
    let Some(fleet) = watched() else { return };
    let controller = &fleet.controller;
    controller.replace("fleet.toml", "pi[1-1]", "pi[1-2]").unwrap();
    // The alerts ask for a stop that nobody grants: they stay open.
    fleet.add("\n[monitor]\nstale_after_s = 30\nauto_stop = []\n");
    let both = controller.start(&["monitor", "--json"]).unwrap();
    for host in ["pi1", "pi2"] {
        both.wait_for(DEADLINE, |line| line["type"] == "notice" && line["host"] == host).unwrap();
    }
    both.signal(Signal::SIGINT);
    assert_eq!(both.wait(DEADLINE).unwrap().code(), 0);
    fs::write(fleet.sshd.home().join("well"), "").unwrap();
    let open_of_pi2 =
        || json(controller, &["alerts", "--json"]).iter().filter(|one| one["host"] == "pi2").count();

    // One of them is only not watched now, by the selection; then it is gone from the inventory.
    for drop in [false, true] {
        if drop {
            controller.replace("fleet.toml", "pi[1-2]", "pi[1-1]").unwrap();
        }
        let mut line = vec!["monitor", "--json", "--serve", "127.0.0.1:0", "pi1"];
        if drop {
            line.extend(["--for", "35"]);
        }
        let monitor = controller.start(&line).unwrap();
        let address = super::dashboard::address(&monitor);
        monitor.wait_for(DEADLINE, |line| line["type"] == "state").unwrap();
        if drop {
            monitor.wait_for(DEADLINE, |line| line["type"] == "notice" && line["host"] == "pi2").unwrap();
        }
        let metrics = || ask(address, Ask { path: "/metrics", ..Ask::default() }).unwrap().body;
        let alone = || metrics().contains("host=\"pi1\"") && !metrics().contains("host=\"pi2\"");
        // The end of an alert is told a moment before the page knows it.
        assert!(if drop { wait::until(DEADLINE, alone) } else { alone() }, "{}", metrics());
        if !drop {
            monitor.signal(Signal::SIGINT);
        }
        let output = monitor.wait(DEADLINE).unwrap();
        assert_eq!(output.code(), 0, "{}", output.stderr);
        // What is not watched is not this run's to speak of; what is gone is over, which is said once.
        let of_pi2: Vec<Value> = output.json_lines().unwrap();
        let of_pi2: Vec<&Value> =
            of_pi2.iter().filter(|line| line["host"] == "pi2").map(|line| &line["type"]).collect();
        let expected: &[&str] = if drop { &["resolved", "notice"] } else { &[] };
        assert_eq!(of_pi2, expected, "{}", output.stdout);
        assert_eq!(open_of_pi2(), usize::from(!drop), "whoever watches it finds it open");
        let partial = output.stdout.contains("\"type\":\"partial\"");
        assert_eq!(partial, !drop, "one of two hosts is a part: {}", output.stdout);
    }
}

#[test]
fn silences_are_listed_until_they_end_and_wrong_ones_are_refused() {
    let Some(fleet) = watched() else { return };
    let controller = &fleet.controller;
    let silence = json(controller, &["silence", "host=pi*", "detector=oauth_fail", "--for", "1h", "--json"]);
    let id = silence.first().map(|line| line["id"].to_string()).unwrap();
    assert_eq!(json(controller, &["silence", "--json"]), silence);
    assert_eq!(controller.run(&["silence", "--expire", &id]).unwrap().code(), 0);
    assert_eq!(json(controller, &["silence", "--json"]).len(), 0);
    let twice = controller.run(&["silence", "--expire", &id]).unwrap();
    assert_eq!(twice.code(), 5, "{}", twice.stderr);
    for (wrong, said) in [("pi", "LABEL=PATTERN"), ("color=red", "there are: host")] {
        let output = controller.run(&["silence", wrong]).unwrap();
        assert_eq!(output.code(), 5);
        assert!(output.stderr.contains(said), "{}", output.stderr);
    }
    let unknown = controller.run(&["alerts", "--ack", "abcdef"]).unwrap();
    assert_eq!(unknown.code(), 5, "{}", unknown.stderr);
    let list = controller.run(&["alerts", "--list"]).unwrap();
    assert!(list.stdout.contains("account_auth (critical)"), "{}", list.stdout);
}

#[test]
fn events_and_peek_are_the_agents_own_behind_host_and_project() {
    let Some(fleet) = watched() else { return };
    let controller = &fleet.controller;
    let events = controller.run(&["events", "--kind", "agent_exit"]).unwrap();
    assert_eq!(events.code(), 0, "{}", events.stderr);
    assert!(
        events.stdout.contains("/shelf: {") && events.stdout.contains("\"round_num\":1"),
        "{}",
        events.stdout
    );
    let slip = controller.run(&["events", "--kind", "agent_exit,agent_exti"]).unwrap();
    assert_eq!((slip.code(), &slip.stdout), (0, &events.stdout), "{}", slip.stderr);
    assert!(slip.stderr.contains("did you mean `agent_exit`?"), "{}", slip.stderr);
    assert!(!events.stderr.contains("no kind"), "{}", events.stderr);
    let peek = controller.run(&["peek", "--select", "service"]).unwrap();
    assert_eq!(peek.code(), 0, "{}", peek.stderr);
    assert!(peek.stdout.contains("/shelf: active = true"), "{}", peek.stdout);
    let refused = controller.run(&["peek", "--select", "moon"]).unwrap();
    assert_eq!(refused.code(), 2, "{}", refused.stderr);
}

#[test]
fn an_option_that_selects_hosts_is_heeded_or_refused() {
    let Some(fleet) = loopback(2, SshdOptions::default()) else { return };
    let controller = &fleet.controller;
    let refused: [(&[&str], &str); 6] = [
        (&["silence", "detector=hung", "--limit", "pi1"], "silence takes no --limit\nhint: name hosts"),
        (&["silence", "host=pi*", "-x", "pi1", "--shard", "1/2"], "silence takes no --exclude, --shard"),
        (&["silence", "host=pi1", "--list-hosts"], "silence takes no --list-hosts"),
        (&["alerts", "--ack", "abc", "--limit", "pi1"], "takes no --limit"),
        (&["alerts", "pi1", "--ack", "abc"], "cannot be used with"),
        (&["demo", "--limit", "pi1"], "demo takes no --limit"),
    ];
    for (arguments, said) in refused {
        let output = controller.run(arguments).unwrap();
        assert_eq!(output.code(), 5, "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(said), "{arguments:?}: {}", output.stderr);
    }
    assert_eq!(json(controller, &["silence", "--json"]).len(), 0, "nothing was silenced");
    for verb in ["alerts", "history", "hosts", "audit"] {
        let output = controller.run(&[verb, "--exclude", "pi1", "--list-hosts"]).unwrap();
        assert_eq!((output.code(), output.stdout.as_str()), (0, "pi2\n"), "{verb}: {}", output.stderr);
    }
    let local = controller.run(&["audit", "--local", "--list-hosts"]).unwrap();
    assert_eq!(local.stdout, "pi1\npi2\n", "{}", local.stderr);
}

#[test]
fn who_did_what_is_found_in_audit_and_history() {
    let Some(fleet) = watched() else { return };
    let controller = &fleet.controller;
    let secret = "abcdefghijklmnop";
    let command = format!("true 'Authorization: Bearer {secret}'\ntrue");
    assert_eq!(controller.run(&["exec", "--", &command]).unwrap().code(), 0);
    assert!(!controller.home().join(".local/state/agent-runner-fleet/loop.history.db").exists());
    // From here on there is a history.
    json(controller, &["silence", "host=pi*", "--comment", "moving", "--json"]);
    assert_eq!(controller.run(&["silence", "--expire", "1"]).unwrap().code(), 0);
    assert_eq!(controller.run(&["start", "pi1", "--project", "shelf"]).unwrap().code(), 0);
    let refused = controller.run(&["kill"]).unwrap();
    assert_eq!(refused.code(), 2, "{}", refused.stderr);
    assert_eq!(controller.run(&["status"]).unwrap().code(), 2, "a look, which this agent refuses");

    let audit = json(controller, &["audit", "--local", "--json"]);
    let said: Vec<String> = audit
        .iter()
        .map(|line| match line["kind"].as_str().unwrap() {
            "run" => format!("{} {} {}", line["run"]["verb"], line["run"]["hosts"], line["run"]["exit"]),
            kind => format!("{kind} {}", line["line"]["name"]),
        })
        .collect();
    assert_eq!(
        said,
        [
            r#""exec" ["pi1"] 0"#,
            r#"asked "silence""#,
            r#"asked "unsilence""#,
            r#""start" ["pi1"] 0"#,
            r#""kill" ["pi1"] 2"#,
        ],
        "in the order of time, and each once: {audit:?}"
    );
    let text = controller.run(&["audit", "--local", "--kind", "exec"]).unwrap().stdout;
    assert!(text.contains(r#"exec "true 'Authorization: [masked]'\ntrue" on pi1 ended well"#), "{text}");
    assert!(!text.contains(secret) && text.lines().count() == 1, "{text}");
    let history = controller.run(&["history", "--kind", "asked,silence"]).unwrap().stdout;
    for (line, said) in history.lines().zip(["moving", "1 ended by ", "start by ", "kill by "]) {
        assert!(line.contains(said), "{said}: {history}");
    }
    assert_eq!(history.lines().count(), 4, "{history}");
    assert!(history.contains(" failed: shelf: the agent refused"), "{history}");
}
