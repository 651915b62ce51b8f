//! `watch` on a real terminal, over real connections.

use std::fs;

use agent_runner_fleet::tui::terminal::Taken;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::sshd::SshdOptions;
use agent_runner_tests::tmux::Tmux;
use agent_runner_tests::wait;

use super::loopback::{Loopback, SHELF, loopback};

/// Set for the run of this program that is to panic on a terminal.
const PANIC: &str = "AGENT_RUNNER_TESTS_PANIC";

/// An agent that streams, stops, starts and has a log; one state a project, whatever the host is called.
const AGENT: &str = r#"#!/bin/sh
dir=$(dirname "$2"); mkdir -p "$dir"
service() { echo '{"mode":"pid_file","active":'$1',"pid":null,"uptime_s":null,"unit_file":null,"rate_limit":null,"system_managed":false}'; }
now() { date -u +%Y-%m-%dT%H:%M:%S.000Z; }
case "$*" in
*' monitor --mode stream'*)
    echo '{"type":"hello","protocol":1,"version":"0.1.0","project":"p","boot_id":"b","at":"'$(now)'","monitor_active":true,"auto_stop_on":[],"cursor":{"file":"events-2026-11.jsonl","offset":0}}'
    case "$*" in *:7*) ;; *) echo '{"type":"event","cursor":{"file":"events-2026-11.jsonl","offset":7},"event":{"ts":"'$(now)'","event":"agent_exit","round_num":41,"exit_code":0,"duration_s":2.0,"timed_out":false,"exit_cause":"clean"}}' ;; esac
    [ -e "$dir/well" ] || echo '{"type":"alert","identity":"hung","alert":{"severity":"warning","detector":"hung","message":"no event for 20 min","context":{},"ts":"'$(now)'","auto_action":"none"}}'
    was=
    exec 3<&0; cat <&3 >/dev/null & w=$!
    while kill -0 $w 2>/dev/null; do
        if [ -e "$dir/stopped" ]; then is=false; else is=true; fi
        [ "$is" = "$was" ] || echo '{"type":"state","active":'$is',"round_num":41,"phase":null,"running":false,"since":null,"last_exit_code":0,"last_duration_s":2.0,"disk_used_pct":10.0,"throttled_until":null}'
        was=$is
        echo '{"type":"heartbeat","at":"'$(now)'"}'
        sleep 1
    done ;;
*' stop') : >"$dir/stopped"; service false ;;
*' start') rm -f "$dir/stopped"; service true ;;
*' peek --round latest --select current_round') echo '{"log_path":"'"$dir"'/round.log"}' ;;
*) echo "unknown: $*" >&2; exit 1 ;;
esac
"#;

/// Two hosts, two projects on the second; the terminal's shell knows the controller as `fleet`.
fn watched(size: (u16, u16)) -> Option<(Loopback, Tmux)> {
    let fleet = loopback(2, SshdOptions::default())?;
    let tmux = or_skip(Tmux::open(fleet.controller.home(), size))?;
    let attic = "[projects.attic]\non = \"pi2\"\nwork_dir = \"~/attic\"\nconfig = \"c.toml\"\n";
    fleet.add(&format!("{SHELF}{attic}"));
    fleet.install(AGENT);
    let home = fleet.sshd.home();
    for folder in ["shelf", "attic"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    fs::write(home.join("shelf/well"), "").unwrap();
    fs::write(
        home.join("attic/round.log"),
        "the first line\n\x1b[31mthe \x1b]0;title\x07last\x1b[0m\x07 line\n",
    )
    .unwrap();
    let program = env!("CARGO_BIN_EXE_agent-runner-fleet-under-test");
    tmux.enter(&format!("fleet() {{ {program} \"$@\"; }}; clear"));
    tmux.wait_until("a clear screen", |screen| screen.trim() == "ready$").unwrap();
    Some((fleet, tmux))
}

/// Whether the terminal is as it was: the shell's own screen, a cursor, and an echo.
fn assert_clean(tmux: &Tmux, expected: &str) {
    tmux.wait_for(expected).unwrap();
    assert_eq!(tmux.says("#{alternate_on} #{cursor_flag}"), "0 1", "{}", tmux.screen());
    tmux.enter("stty -a | grep -o '[-]*icanon' ; stty -a | grep -o ' [-]*echo '");
    let screen = tmux.wait_for("\nicanon").unwrap();
    tmux.wait_until("an echo", |screen| screen.lines().any(|line| line.trim() == "echo")).unwrap();
    assert!(!screen.contains("-icanon"), "{screen}");
}

#[test]
fn a_fleet_is_looked_at_narrowed_opened_and_acted_on_and_the_terminal_comes_back() {
    let Some((fleet, tmux)) = watched((80, 24)) else { return };
    tmux.enter("fleet watch; echo ended with $?");
    let whole = |screen: &str| screen.contains("3 idle") && screen.contains("1 open");
    let screen = tmux.wait_until("three projects that are heard", whole).unwrap();
    assert!(screen.contains("3 projects on 2 hosts"), "{screen}");
    for row in ["○ idle         pi2  attic", "○ idle         pi1  shelf", "○ idle         pi2  shelf"] {
        assert!(screen.contains(row), "{row}:\n{screen}");
    }
    assert_eq!(tmux.says("#{alternate_on}"), "1");

    // Another size is another drawing, both ways.
    tmux.resize((200, 60));
    tmux.wait_for("MEMORY").unwrap();
    tmux.resize((80, 24));
    tmux.wait_until("the small screen", |screen| !screen.contains("MEMORY") && screen.contains("attic"))
        .unwrap();

    // Keys are words while the filter is written.
    tmux.press(&["/"]);
    tmux.press(&["-l", "attic"]);
    tmux.press(&["Enter"]);
    let screen = tmux.wait_for("hosts: 1 of 3").unwrap();
    assert!(!screen.contains("pi1 "), "{screen}");

    // The host's own words are shown and do nothing.
    tmux.press(&["Enter"]);
    let screen = tmux.wait_for("the last\u{fffd} line").unwrap();
    assert!(screen.contains("pi2/attic") && screen.contains("rounds: 1 ok, 0 not"), "{screen}");
    tmux.press(&["Escape"]);
    tmux.wait_for("hosts: 1 of 3").unwrap();

    // Only a yes stops it.
    tmux.press(&["S"]);
    tmux.wait_for("Stop pi2/attic?").unwrap();
    tmux.press(&["n"]);
    tmux.wait_until("no question", |screen| !screen.contains("Stop pi2/attic?")).unwrap();
    assert!(!fleet.sshd.home().join("attic/stopped").exists());
    tmux.press(&["S"]);
    tmux.wait_for("Host pi2, project attic").unwrap();
    tmux.press(&["y"]);
    tmux.wait_for("□ stopped      pi2").unwrap();
    assert!(fleet.sshd.home().join("attic/stopped").exists());
    assert!(!fleet.sshd.home().join("shelf/stopped").exists(), "the others go on");
    tmux.press(&["T"]);
    tmux.wait_for("Start pi2/attic?").unwrap();
    tmux.press(&["y"]);
    tmux.wait_for("○ idle         pi2").unwrap();

    // What was asked for in the dashboard is in the history that every verb reads.
    tmux.press(&["a"]);
    tmux.press(&["A"]);
    tmux.wait_for("Take note of the alerts of pi2/attic?").unwrap();
    tmux.press(&["y"]);
    tmux.wait_for("(noted by ").unwrap();
    tmux.press(&["M"]);
    tmux.wait_for("for how long? 2h").unwrap();
    tmux.press(&["Enter"]);
    tmux.wait_for("(silence 1)").unwrap();
    let silences = fleet.controller.run(&["silence"]).unwrap();
    assert!(silences.stdout.contains("detector=hung host=pi2 project=attic"), "{}", silences.stdout);

    tmux.press(&["q"]);
    assert_clean(&tmux, "ended with 0");
    let mark =
        format!("AGENT_RUNNER_TEST_SESSION={}", fleet.sshd.dir().file_name().unwrap().to_str().unwrap());
    let over = || agent_runner_tests::process::with_environment(&mark).is_empty();
    assert!(wait::until(wait::DEADLINE, over), "nothing is left running on the hosts");
}

#[test]
fn a_second_one_looks_on_and_can_still_take_note_and_silence() {
    let Some((fleet, tmux)) = watched((80, 24)) else { return };
    let monitor = fleet.controller.start(&["monitor", "--json"]).unwrap();
    monitor.wait_for(wait::DEADLINE, |line| line["type"] == "alert").unwrap();
    tmux.enter("fleet watch; echo ended with $?");
    tmux.wait_until("the alert", |screen| screen.contains("looks on") && screen.contains("1 open")).unwrap();
    tmux.press(&["a"]);
    tmux.press(&["A"]);
    tmux.wait_for("Take note of the alerts of").unwrap();
    tmux.press(&["y"]);
    tmux.wait_for("(noted by ").unwrap();
    // The one that guards has heard of it.
    let noted = |line: &serde_json::Value| {
        line["type"] == "alert_changed" && !line["alert"]["acknowledged_by"].is_null()
    };
    monitor.wait_for(wait::DEADLINE, noted).unwrap();
    tmux.press(&["q"]);
    assert_clean(&tmux, "ended with 0");
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let Some((fleet, tmux)) = watched((80, 24)) else { return };
    tmux.enter("fleet watch; echo ended with $?");
    tmux.wait_for("3 idle").unwrap();
    tmux.press(&["C-c"]);
    assert_clean(&tmux, "ended with 0");
    let program = env!("CARGO_BIN_EXE_agent-runner-fleet-under-test");
    tmux.enter(&format!("clear; sh -c 'echo $$ >pid; exec {program} watch'; echo over $?"));
    tmux.wait_for("3 idle").unwrap();
    let pid: i32 = fs::read_to_string(fleet.controller.home().join("pid")).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_clean(&tmux, "over 130");
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_reported() {
    let home = tempfile::tempdir().unwrap();
    let Some(tmux) = or_skip(Tmux::open(home.path(), (80, 24))) else { return };
    let this = std::env::current_exe().unwrap();
    let name = "watch::panics_when_it_is_told_to";
    tmux.enter(&format!(
        "clear; {PANIC}=1 {} {name} --exact --nocapture; echo ended with $?",
        this.display()
    ));
    let screen = tmux.wait_for("ended with 101").unwrap();
    assert!(screen.contains("on purpose"), "{screen}");
    assert_clean(&tmux, "ended with 101");
}

#[test]
fn panics_when_it_is_told_to() {
    if std::env::var_os(PANIC).is_none() {
        return;
    }
    let mut taken = Taken::take().unwrap();
    taken.terminal.draw(|frame| frame.render_widget("covered", frame.area())).unwrap();
    panic!("on purpose");
}

#[test]
fn without_a_terminal_it_says_what_to_use_instead() {
    let Some(fleet) = loopback(1, SshdOptions::default()) else { return };
    for (arguments, hint) in [
        (&["watch"][..], "hint: agent-runner-fleet monitor prints lines instead"),
        (&["watch", "--json"], "hint: agent-runner-fleet monitor --json"),
        (&["watch", "--ask-pass"], "ssh-agent"),
    ] {
        let output = fleet.controller.run(arguments).unwrap();
        assert_eq!(output.code(), 5, "{}", output.stderr);
        assert!(output.stderr.contains(hint), "{}", output.stderr);
        assert_eq!(output.stdout, "");
    }
    let Some(tmux) = or_skip(Tmux::open(fleet.controller.home(), (80, 24))) else { return };
    let program = env!("CARGO_BIN_EXE_agent-runner-fleet-under-test");
    tmux.enter(&format!("clear; TERM=dumb {program} watch; echo ended with $?"));
    let screen = tmux.wait_for("ended with 5").unwrap();
    assert!(screen.contains("this one (TERM) cannot move"), "{screen}");
}
