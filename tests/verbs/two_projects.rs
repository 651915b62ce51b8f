//! Two projects of one login on a host whose sshd grants one channel a connection: both are watched and stopped, and the
//! second comes back only once the first has shown that the login works.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use agent_runner_tests::dashboard::{Ask, ask};
use agent_runner_tests::fleet::Controller;
use agent_runner_tests::sshd::SshdOptions;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::loopback::{Loopback, loopback};

const DEADLINE: Duration = Duration::from_secs(90);

/// An agent whose login fails while `~/well` is missing: every start of it is a round. `~/order` tells what was done.
const AGENT: &str = r#"#!/bin/sh
dir=$(dirname "$2"); name=$(basename "$dir"); mkdir -p "$dir"
now() { date -u +%Y-%m-%dT%H:%M:%S.000Z; }
service() { echo '{"mode":"pid_file","active":'$1',"pid":null,"uptime_s":null,"unit_file":null,"rate_limit":null,"system_managed":false}'; }
n=$(date +%s%N)
event() { n=$((n + 1)); echo '{"type":"event","cursor":{"file":"events-2026-11.jsonl","offset":'$n'},"event":{"ts":"'$(now)'","round_num":2,'"$1"'}}'; }
case "$*" in
*' monitor --mode stream'*)
    echo '{"type":"hello","protocol":1,"version":"0.1.0","project":"'$name'","boot_id":"b","at":"'$(now)'","monitor_active":false,"auto_stop_on":["oauth_fail"],"cursor":{"file":"events-2026-11.jsonl","offset":0}}'
    was=
    exec 3<&0; cat <&3 >/dev/null & w=$!
    while kill -0 $w 2>/dev/null; do
        if [ -e "$dir/stopped" ]; then is=false; else is=true; fi
        if [ "$is" != "$was" ]; then
            echo '{"type":"state","active":'$is',"round_num":1,"phase":null,"running":false,"since":null,"last_exit_code":1,"last_duration_s":2.0,"disk_used_pct":10.0,"throttled_until":null}'
            if [ $is = true ] && [ ! -e "$HOME/well" ]; then
                event '"event":"agent_exit","exit_code":1,"duration_s":2.0,"timed_out":false,"exit_cause":"error"'
                event '"event":"agent_auth_error_detected","agent":"claude","raw":"401"'
                echo '{"type":"alert","identity":"oauth_fail","alert":{"severity":"critical","detector":"oauth_fail","message":"3/10 failed auth","context":{},"ts":"'$(now)'","auto_action":"stop_service"}}'
            elif [ $is = true ]; then
                echo "round $name" >>"$HOME/order"
                event '"event":"agent_exit","exit_code":0,"duration_s":2.0,"timed_out":false,"exit_cause":"clean"'
                event '"event":"round_end"'
            fi
            [ $is = true ] || echo '{"type":"resolved","detector":"oauth_fail","identity":"oauth_fail","firing_for_s":1}'
        fi
        was=$is
        echo '{"type":"heartbeat","at":"'$(now)'"}'
        sleep 1
    done ;;
*' stop --because oauth_fail'*) : >"$dir/stopped"; service false ;;
*' start') echo "start $name" >>"$HOME/order"; rm -f "$dir/stopped"; service true ;;
*' peek --round latest --select current_round') echo '{"log_path":"'"$dir"'/round.log"}' ;;
*) echo "unknown: $*" >&2; exit 1 ;;
esac
"#;

/// One host with `attic` and `shelf`, both of one account, behind an sshd with these lines.
fn host(config_lines: &[&str]) -> Option<Loopback> {
    let config_lines = config_lines.iter().map(|line| (*line).to_owned()).collect();
    let fleet = loopback(1, SshdOptions { config_lines, ..SshdOptions::default() })?;
    let projects = ["attic", "shelf"].map(|name| {
        format!("[projects.{name}]\non = \"all\"\nwork_dir = \"~/{name}\"\nconfig = \"c.toml\"\n\n")
    });
    let team = "[groups.team]\nhosts = [\"pi1\"]\naccount = \"team-a\"\n\n";
    let rest = "[monitor]\nbrake = 10\nstale_after_s = 30\n";
    fleet.add(&format!("{team}{}{rest}", projects.concat()));
    fleet.install(AGENT);
    Some(fleet)
}

/// Watches until these projects were stopped by the controller.
fn watch_until_stopped(controller: &Controller, projects: &[&str]) {
    let monitor = controller.start(&["monitor", "--json"]).unwrap();
    for project in projects {
        let stopped = |line: &Value| line["type"] == "stopped" && line["project"] == *project;
        let line = monitor.wait_for(DEADLINE, stopped).unwrap();
        assert_eq!(line.get("by").and_then(Value::as_str), Some("controller"), "{line}");
    }
    monitor.signal(Signal::SIGINT);
    assert_eq!(monitor.wait(DEADLINE).unwrap().code(), 0);
}

/// What `resume --json` said: the project and whether it came back.
fn back(output: &agent_runner_tests::run::Output) -> Vec<(String, bool)> {
    let lines = output.json_lines().unwrap();
    lines
        .iter()
        .map(|line| (line["project"].as_str().unwrap().to_owned(), line["resumed"].as_bool().unwrap()))
        .collect()
}

#[test]
fn one_channel_a_connection_is_enough_and_a_login_that_still_fails_is_found_out_by_one() {
    let Some(fleet) = host(&["MaxSessions 1"]) else { return };
    let controller = &fleet.controller;
    let order = || fs::read_to_string(fleet.sshd.home().join("order")).unwrap_or_default();
    watch_until_stopped(controller, &["attic", "shelf"]);

    // The login still fails: one finds out.
    let resume = ["resume", "--yes", "--json", "--stagger", "1s"];
    let output = controller.run(&resume).unwrap();
    assert_eq!(output.code(), 2, "{}\n{}", output.stdout, output.stderr);
    assert_eq!(back(&output), [("attic".to_owned(), true), ("shelf".to_owned(), false)], "{}", output.stdout);
    assert!(
        output.stderr.contains("waiting for a round of pi1/attic that ends well, up to 900 s"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("pi1/attic: its login fails again"), "{}", output.stderr);
    assert!(output.stdout.contains("left alone, because of pi1/attic"), "{}", output.stdout);
    assert_eq!(order(), "start attic\n");
    watch_until_stopped(controller, &["attic"]);

    // The login works: the second follows once the first has ended a round.
    fs::write(fleet.sshd.home().join("well"), "").unwrap();
    let output = controller.run(&resume).unwrap();
    assert_eq!(output.code(), 0, "{}\n{}", output.stdout, output.stderr);
    assert_eq!(back(&output), [("attic".to_owned(), true), ("shelf".to_owned(), true)]);
    assert_eq!(order(), "start attic\nstart attic\nround attic\nstart shelf\n");

    // A log is fetched while both streams hold every channel there is.
    fs::write(fleet.sshd.home().join("attic/round.log"), "the last line\n").unwrap();
    controller.write("token", "0123456789abcdef0123").unwrap();
    let token = controller.home().join("token");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let serve = ["monitor", "--json", "--serve", "127.0.0.1:0", "--token-file", "token"];
    let monitor = controller.start(&serve).unwrap();
    let address = super::dashboard::address(&monitor);
    for project in ["attic", "shelf"] {
        monitor.wait_for(DEADLINE, |line| line["type"] == "state" && line["project"] == project).unwrap();
    }
    let headers = [("authorization", "Bearer 0123456789abcdef0123")];
    let path = "/api/v1/hosts/pi1/log?project=attic&lines=5";
    let log = ask(address, Ask { path, headers: &headers, ..Ask::default() }).unwrap();
    assert!(log.status == 200 && log.body.contains("the last line"), "{log:?}");
    monitor.signal(Signal::SIGINT);
    assert_eq!(monitor.wait(DEADLINE).unwrap().code(), 0);
}

#[test]
fn a_service_that_ends_no_round_in_time_leaves_the_others_alone_unless_they_need_not_wait() {
    let Some(fleet) = host(&[]) else { return };
    let controller = &fleet.controller;
    watch_until_stopped(controller, &["attic", "shelf"]);
    // Neither well nor refused: this agent says nothing more of any round.
    fleet.install(&AGENT.replace("event '\"event\":", ": '"));
    fs::write(fleet.sshd.home().join("well"), "").unwrap();
    let output = controller.run(&["resume", "--yes", "--wait", "3s", "--stagger", "1s"]).unwrap();
    assert_eq!(output.code(), 2, "{}\n{}", output.stdout, output.stderr);
    assert!(output.stderr.contains("pi1/attic: no round of it ended well within 3 s"), "{}", output.stderr);
    assert!(output.stdout.contains("pi1/attic  started again"), "{}", output.stdout);
    assert!(output.stdout.contains("pi1/shelf  not started: left alone"), "{}", output.stdout);
    let output = controller.run(&["resume", "--yes", "--unproven", "--stagger", "1s"]).unwrap();
    assert_eq!(output.code(), 0, "{}\n{}", output.stdout, output.stderr);
    assert!(output.stdout.contains("pi1/shelf  started again"), "{}", output.stdout);
}

#[test]
fn a_host_that_opens_no_channel_at_all_is_named_with_what_helps() {
    let Some(fleet) = host(&["MaxSessions 0"]) else { return };
    let monitor = fleet.controller.start(&["monitor", "--json"]).unwrap();
    let stale = |line: &Value| line["type"] == "alert" && line["alert"]["detector"] == "host_stale";
    let alert = monitor.wait_for(DEADLINE, stale).unwrap();
    let message = alert["alert"]["message"].as_str().unwrap();
    assert!(message.contains("MaxSessions in its sshd_config is too small, raise it"), "{message}");
    monitor.signal(Signal::SIGINT);
    assert_eq!(monitor.wait(DEADLINE).unwrap().code(), 0);
}
