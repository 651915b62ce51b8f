//! A host on which a person works by hand: the program, a scripted agent, and a project made with `init`.

use std::fs;

use agent_runner_tests::fake_agent::Mode;
use agent_runner_tests::lab::{Host, HostOptions, Lab, Sudo};
use agent_runner_tests::run::Output;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::wait;
use serde_json::Value;

use super::deployed::ROUNDS;

/// The program, here.
pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_agent-runner-under-test");

/// The unit of the Loop.
pub(super) const SERVE: &str = "agent-runner@demo.service";
/// The unit of the monitor.
pub(super) const MONITOR: &str = "agent-runner-monitor@demo.service";

/// Boots a host with the program, an agent and a repository. `None` where hosts cannot be had.
pub(super) fn bare_host() -> Option<Lab> {
    let lab = or_skip(Lab::up_with(&[HostOptions { sudo: Sudo::Passwordless, ..HostOptions::default() }]))?;
    let host = &lab.hosts()[0];
    host.put("/home/ops/.local/bin/agent-runner", &fs::read(PROGRAM).unwrap(), 0o755).unwrap();
    host.furnish().unwrap();
    Some(lab)
}

/// The same with the project `demo`, scaffolded and ready.
pub(super) fn host_by_hand() -> Option<Lab> {
    let lab = bare_host()?;
    let host = &lab.hosts()[0];
    typed(host, "agent-runner init --preset claude").checked().unwrap();
    typed(
        host,
        "sed -i 's/^restart_delay_s = .*/restart_delay_s = 1/' agent-runner.toml && git commit -qam faster",
    )
    .checked()
    .unwrap();
    Some(lab)
}

/// What a person types in the project's folder, over ssh.
pub(super) fn typed(host: &Host, command: &str) -> Output {
    typed_in(host, "demo", command)
}

/// What a person types in a folder of their home, over ssh.
pub(super) fn typed_in(host: &Host, folder: &str, command: &str) -> Output {
    host.ssh(&format!("export PATH=~/.local/bin:$PATH; cd ~/{folder} && {command}")).unwrap()
}

/// What it prints, which must end well.
pub(super) fn says(host: &Host, command: &str) -> String {
    typed(host, command).checked().unwrap()
}

/// The same, as JSON.
pub(super) fn answers(host: &Host, command: &str) -> Value {
    serde_json::from_str(&says(host, command)).unwrap()
}

/// What it says on standard error when it fails with this code.
pub(super) fn refuses(host: &Host, command: &str, code: i32) -> String {
    let output = typed(host, command);
    assert_eq!(output.code(), code, "{command}: {}\n{}", output.stdout, output.stderr);
    output.stderr
}

/// Removes the units, asking again as long as a round drains, and returns what was said at last.
pub(super) fn uninstalls(host: &Host, command: &str) -> String {
    let done = wait::value(ROUNDS, || Some(typed(host, command)).filter(|output| output.code() == 0));
    done.unwrap_or_else(|| panic!("{}", typed(host, command).stderr)).stderr
}

/// Waits until the Loop's round is in this mode, counted by what the agent was started for.
pub(super) fn next_round_runs(host: &Host, mode: Mode) -> i64 {
    let newest = |kind: &str| {
        let events = host.events().unwrap_or_default();
        events.into_iter().rfind(|event| event["event"] == kind).and_then(|event| event["round_num"].as_i64())
    };
    host.set_mode(&[mode]).unwrap();
    // What begins from here on does as it is told; what began before may not.
    let before = newest("agent_spawn").unwrap_or(0);
    let next = wait::value(ROUNDS, || newest("agent_spawn").filter(|round| *round > before));
    next.unwrap_or_else(|| panic!("no round after {before}: {}", host.newest(20)))
}

/// How many agents of [`Mode::Hang`] live on the host.
pub(super) fn hanging(host: &Host) -> usize {
    let found = host.root("pgrep -fx 'sleep 86400'").unwrap();
    found.stdout.lines().count()
}

/// Waits until the Loop's service is in this state.
pub(super) fn becomes(host: &Host, state: &str) {
    assert!(wait::until(ROUNDS, || host.unit_state().unwrap() == state), "{state}: {}", host.newest(20));
}
