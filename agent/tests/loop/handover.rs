//! USR2: another program file takes over between two rounds, and nothing is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use super::project::{Project, WAITING_AGENT, heard, until_told};
use crate::wait;

#[test]
fn a_hand_over_in_a_round_waits_for_its_end_and_keeps_pid_lock_and_count() {
    let project = Project::new(WAITING_AGENT);
    let (mut serve, manager) = project.serve_notified(&["--max-rounds", "3"]);
    project.wait_for_pid("agent.pid");
    let pid_file = fs::read_to_string(project.logs().serve_pid()).unwrap();
    serve.signal(Signal::SIGUSR2);
    project.write("go", "");
    project.wait_for("serve_handed_over", 1);
    until_told(&manager, "RELOADING=1");
    until_told(&manager, "READY=1");
    assert_eq!(fs::read_to_string(project.logs().serve_pid()).unwrap(), pid_file);
    let mut second = project.serve(&[]);
    assert_eq!(second.wait(), 1, "{}", second.said());
    assert_eq!(serve.wait(), 0, "{}", serve.said());
    let told: Vec<_> = project
        .events()
        .iter()
        .filter(|record| {
            ["round_end", "serve_handed_over", "max_rounds_reached"].contains(&record.kind.as_str())
        })
        .map(|record| record.kind.clone())
        .collect();
    assert_eq!(told, ["round_end", "serve_handed_over", "round_end", "round_end", "max_rounds_reached"]);
    assert_eq!(project.of_kind("max_rounds_reached")[0].int("rounds_completed"), Some(3));
    assert_eq!(project.of_kind("host_cgroup_memory_limit").len(), 1);
}

#[test]
fn a_program_that_could_run_no_round_never_says_that_it_took_over() {
    let project = Project::configured(WAITING_AGENT, "[vcs]\ndirty_action = \"ignore\"");
    let (mut serve, manager) = project.serve_notified(&[]);
    project.wait_for_pid("agent.pid");
    until_told(&manager, "READY=1");
    project.write("work/prompt.md", "too short");
    serve.signal(Signal::SIGUSR2);
    project.write("go", "");
    assert_eq!(serve.wait(), 78, "{}", serve.said());
    assert!(heard(&manager).iter().all(|told| !told.contains("READY=1")));
    assert_eq!(project.of_kind("serve_handed_over").len(), 0);
    assert_eq!(project.of_kind("config_broken").len(), 1);
}

#[test]
fn a_hand_over_in_a_delay_happens_at_once_and_keeps_the_delay() {
    let project = Project::configured("exit 0", "restart_delay_s = 3000");
    let (mut serve, manager) = project.serve_notified(&[]);
    until_told(&manager, "between rounds");
    serve.signal(Signal::SIGUSR2);
    project.wait_for("serve_handed_over", 1);
    until_told(&manager, "between rounds, 1 done");
    serve.signal(Signal::SIGTERM);
    assert_eq!(serve.wait(), 0, "{}", serve.said());
    assert_eq!(project.of_kind("round_start").len(), 1);
}

#[test]
fn the_new_program_file_takes_over_and_a_broken_one_does_not() {
    let project = Project::new("exit 0");
    let program = project.path("agent-runner");
    let fresh = project.path("agent-runner.new");
    let install = || {
        fs::copy(env!("CARGO_BIN_EXE_agent-runner"), &fresh).unwrap();
        fs::rename(&fresh, &program).unwrap();
    };
    install();
    let project = project.with_program(program.clone());
    let mut serve = project.serve(&[]);
    project.wait_for("round_end", 1);
    install();
    let runs_the_file = || {
        let running = fs::metadata(format!("/proc/{}/exe", serve.pid()));
        running.is_ok_and(|found| is_same(&found, &fs::metadata(&program).unwrap()))
    };
    assert!(!runs_the_file());
    serve.signal(Signal::SIGUSR2);
    project.wait_for("serve_handed_over", 1);
    wait::until("the new file runs", runs_the_file);

    project.write("broken", "#!/bin/sh\nexit 1\n");
    fs::set_permissions(project.path("broken"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(project.path("broken"), &program).unwrap();
    serve.signal(Signal::SIGUSR2);
    wait::until("the refusal", || serve.said().contains("did not take over"));
    let rounds = project.of_kind("round_end").len();
    project.wait_for("round_end", rounds + 1);
    serve.signal(Signal::SIGTERM);
    assert_eq!(serve.wait(), 0, "{}", serve.said());
    assert_eq!(project.of_kind("serve_handed_over").len(), 1);
    let crashed = project.of_kind("agent_exit").iter().filter(|r| r.int("exit_code") != Some(0)).count();
    assert_eq!(crashed, 0);
}

fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
