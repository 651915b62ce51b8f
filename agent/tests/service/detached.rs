use std::fs;

use agent_runner::service::{Mode, Status};

use super::host::{Host, PROMPT, config};
use crate::running::is_running;
use crate::wait;

fn host(script: &str) -> Host {
    let host = Host::new();
    host.write("research/agent-runner.toml", &config(script, ""));
    host.write("research/prompts/main.md", PROMPT);
    host.git(&["add", "-A"]);
    host.git(&["commit", "--quiet", "-m", "configured"]);
    host
}

/// Waits until the agent's script has written its process id.
fn agent_pid(host: &Host) -> i32 {
    host.wait_for("pid").trim().parse().unwrap()
}

#[test]
fn nothing_runs_before_a_start_and_asking_twice_is_harmless() {
    let host = host("true");
    for verb in ["status", "stop", "kill", "cancel"] {
        let status = host.verb(&[verb]);
        assert_eq!((status.mode, status.active, status.pid), (Mode::None, false, None), "{verb}");
    }
    assert!(!host.agent(&["restart"]).status.success());
}

#[test]
fn start_detaches_serve_with_its_environment_and_a_second_start_changes_nothing() {
    let host = host("echo \"$TOKEN\" > ~/token; echo $$ > ~/pid; exec sleep 600");
    host.write(".config/agent-runner/research.env", "TOKEN=\"two words\"\n");
    let started = host.verb(&["start"]);
    assert_eq!((started.mode, started.active), (Mode::PidFile, true));
    assert!(started.pid.is_some() && started.uptime_s.is_some(), "{started:?}");
    let again = host.verb(&["start"]);
    assert_eq!(again.pid, started.pid);
    let agent = agent_pid(&host);
    assert_eq!(host.read("token"), "two words\n");
    let killed = host.verb(&["kill"]);
    assert_eq!((killed.mode, killed.active), (Mode::PidFile, false));
    assert!(!is_running(started.pid.unwrap()) && !is_running(agent));
}

#[test]
fn stop_lets_the_round_end_and_says_that_it_drains() {
    let host = host("echo $$ > ~/pid; while [ ! -e ~/end ]; do sleep 0.1; done");
    let started = host.verb(&["start"]);
    let agent = agent_pid(&host);
    let draining = host.verb(&["stop"]);
    assert!(draining.active && is_running(agent), "{draining:?}");
    host.write("end", "");
    wait::until("the end of the drain", || !host.verb(&["status"]).active);
    wait::until("the end of serve", || !is_running(started.pid.unwrap()));
    assert!(!is_running(agent));
}

#[test]
fn cancel_interrupts_the_round_and_the_loop_stops() {
    let host =
        host("trap 'echo interrupted > ~/end; exit 130' INT; echo $$ > ~/pid; while :; do sleep 0.1; done");
    host.verb(&["start"]);
    agent_pid(&host);
    host.verb(&["cancel"]);
    wait::until("the end", || !host.verb(&["status"]).active);
    assert_eq!(host.read("end"), "interrupted\n");
}

#[test]
fn restart_keeps_the_process_and_the_round_and_force_does_not() {
    let host = host("echo $$ > ~/pid; while [ ! -e ~/end ]; do sleep 0.1; done");
    let started = host.verb(&["start"]);
    let agent = agent_pid(&host);
    let handed_over = host.verb(&["restart"]);
    assert_eq!(handed_over.pid, started.pid);
    assert!(is_running(agent));
    host.write("end", "");
    wait::until("the hand-over", || {
        let events = fs::read_dir(host.log_dir()).unwrap().map(|entry| entry.unwrap().path());
        let logs = events.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("events-"));
        logs.map(|path| fs::read_to_string(path).unwrap()).any(|text| text.contains("serve_handed_over"))
    });
    let forced: Status = host.verb(&["restart", "--force"]);
    assert!(forced.active && forced.pid != started.pid, "{forced:?}");
    assert!(!is_running(started.pid.unwrap()));
}

#[test]
fn kill_takes_the_loop_its_round_and_what_left_the_rounds_session() {
    let host = host(
        "trap '' TERM; setsid sh -c 'echo $$ > ~/stray; trap \"\" TERM; while :; do sleep 0.1; done' & \
         echo $$ > ~/pid; while :; do sleep 0.1; done",
    );
    let started = host.verb(&["start"]);
    let agent = agent_pid(&host);
    let stray = host.wait_for("stray").trim().parse().unwrap();
    host.verb(&["kill"]);
    assert!(!is_running(started.pid.unwrap()));
    wait::until("the end of all", || !is_running(agent) && !is_running(stray));
}

#[test]
fn a_serve_that_does_not_come_up_is_an_error_that_says_why() {
    let host = host("true");
    host.write(
        "research/agent-runner.toml",
        &config("true", "").replace("prompts/main.md", "prompts/none.md"),
    );
    let dir = host.work_dir().join("agent-runner.toml");
    let text = fs::read_to_string(&dir).unwrap().replace("[runtime]", "[runtime]\nmax_rounds = 0");
    host.write("research/agent-runner.toml", &text);
    let output = host.agent(&["start"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("max_rounds"), "{output:?}");
}
