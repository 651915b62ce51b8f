//! Hosts on which the project `demo` runs, and what tests ask of them.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use agent_runner_tests::fleet::{Controller, lab_fleet};
use agent_runner_tests::lab::{Host, Lab};
use agent_runner_tests::run::Output;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::wait;
use serde_json::Value;

/// How long a thing may take that a few rounds lead to.
pub(super) const ROUNDS: Duration = Duration::from_secs(90);

/// Where a login's agents are, below its home.
pub(super) const SHARE: &str = ".local/share/agent-runner";

/// The release that the controller's agent replaces: the same program, as a file of its own.
const OLDER: &str = "versions/0.0.9-000000000000";

/// Names the controller to test with, such as that of a release: the one that tests are built with carries the agent of
/// this machine only, unless AGENT_RUNNER_BUNDLE gave it more.
pub(super) const CONTROLLER: &str = "AGENT_RUNNER_TESTS_CONTROLLER";

/// The controller to test with.
pub(super) fn controller() -> PathBuf {
    let named = env::var_os(CONTROLLER).filter(|path| !path.is_empty()).map(PathBuf::from);
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_agent-runner-fleet-under-test").into())
}

/// Boots so many hosts and makes their controller; nothing is deployed yet. `None` where hosts cannot be had.
pub(super) fn fleet_of(hosts: usize) -> Option<(Lab, Controller)> {
    let lab = or_skip(Lab::up(hosts))?;
    let controller = lab_fleet(controller(), &lab).unwrap();
    Some((lab, controller))
}

/// As [`fleet_of`], deployed.
pub(super) fn deployed(hosts: usize) -> Option<(Lab, Controller)> {
    let (lab, controller) = fleet_of(hosts)?;
    deploy_changes(&controller, hosts);
    Some((lab, controller))
}

/// Lets the client ask sooner whether a silent connection lives: a dead one is noticed after 9 s instead of 45 s.
pub(super) fn dead_connections_are_noticed_soon(controller: &Controller) {
    let config = std::fs::read_to_string(controller.home().join(".ssh/config")).unwrap();
    controller.write(".ssh/config", &format!("{config}Host *\n    ServerAliveInterval 3\n")).unwrap();
}

/// Deploys, and insists that every host was changed.
pub(super) fn deploy_changes(controller: &Controller, hosts: usize) {
    let output = controller.run(&["deploy", "--json"]).unwrap();
    assert_eq!(output.code(), 0, "{}\n{}", output.stdout, output.stderr);
    assert_eq!(statuses(&output), vec!["changed"; hosts], "{}", output.stdout);
}

/// How each host of a deploy ended, in the inventory's order.
pub(super) fn statuses(output: &Output) -> Vec<String> {
    let lines = output.json_lines().unwrap();
    lines.iter().map(|line| text(&line["result"])).collect()
}

/// The result of one host of a deploy.
pub(super) fn result_of(output: &Output, host: &Host) -> Value {
    let lines = output.json_lines().unwrap();
    let found = lines.iter().find(|line| line["host"] == host.name());
    found.unwrap_or_else(|| panic!("{} is not in {}", host.name(), output.stdout)).clone()
}

/// The hosts whose service is active, as `status --json` says of them all.
pub(super) fn active(controller: &Controller, lab: &Lab) -> Vec<String> {
    let output = controller.run(&["status", "--json"]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    let lines = output.json_lines().unwrap();
    assert_eq!(lines.len(), lab.hosts().len(), "{}", output.stdout);
    let active = lines.iter().filter(|line| line["service"]["active"] == true);
    let mut names: Vec<String> = active.map(|line| text(&line["host"])).collect();
    names.sort();
    names
}

/// Whether an event is of this kind.
pub(super) fn is(event: &Value, kind: &str) -> bool {
    event["event"] == kind
}

/// Waits until a round has ended well after the newest event now, and returns its number.
pub(super) fn next_good_round(host: &Host) -> i64 {
    let seen = host.events().map_or(0, |events| events.len());
    let ended = || {
        let events = host.events().ok()?;
        events.iter().skip(seen).rfind(|event| ended_well(event))?["round_num"].as_i64()
    };
    wait::value(ROUNDS, ended).unwrap_or_else(|| panic!("no round on {}: {:?}", host.name(), host.newest(20)))
}

/// Whether an event is the good end of a round's agent.
pub(super) fn ended_well(event: &Value) -> bool {
    is(event, "agent_exit") && event["exit_cause"] == "clean"
}

/// The program file that the Loop has mapped. Where the host's programs are emulated, its process has the emulator's name.
pub(super) fn executed(host: &Host) -> String {
    let pid = host.main_pid().unwrap();
    host.says(&format!("grep --only-matching --max-count=1 '/.*/agent-runner$' /proc/{pid}/maps")).unwrap()
}

/// The program of a version folder, as [`executed`] names it.
pub(super) fn in_use(folder: &str) -> String {
    format!("/home/ops/{SHARE}/{folder}/agent-runner")
}

/// How often the Loop went on as another program, or with another configuration.
pub(super) fn hand_overs(host: &Host) -> usize {
    host.events().unwrap().iter().filter(|event| is(event, "serve_handed_over")).count()
}

/// Lets the Loop run another program than the controller's, the one in `folder`, so that the next deploy replaces it.
pub(super) fn runs_another_program(host: &Host, folder: &str) {
    let older = format!(
        "cd {SHARE} && mkdir {OLDER} && cp {folder}/agent-runner {OLDER} && echo >>{OLDER}/agent-runner \
         && ln -sfn {OLDER} current"
    );
    host.says(&older).unwrap();
    let (pid, before) = (host.main_pid().unwrap(), hand_overs(host));
    assert_eq!(executed(host), in_use(folder));
    host.says(&format!("kill -USR2 {pid}")).unwrap();
    assert!(wait::until(ROUNDS, || hand_overs(host) > before), "{}", host.newest(20));
    assert_eq!(executed(host), in_use(OLDER));
}

/// The text of a JSON string.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
