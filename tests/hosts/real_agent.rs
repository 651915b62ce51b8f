//! The real Claude Code as the agent of a deployed project: rounds, a login that is refused, the stop, the renewal,
//! and rounds again. The provider is the mock, at the lab's bridge. Claude Code is one program that needs nothing but
//! the C library, so no Node.js is brought to the host.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use agent_runner_tests::fleet::{Controller, PROMPT};
use agent_runner_tests::lab::{Host, HostOptions, Lab};
use agent_runner_tests::mock_provider::{Behavior, MockProvider, OUTPUT_TOKENS, Seen};
use agent_runner_tests::real_agents::cli::Cli;
use agent_runner_tests::real_agents::install::installed;
use agent_runner_tests::run::run;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::wait;
use serde_json::Value;

use super::deployed::{ROUNDS, deploy_changes, ended_well, is};

/// Good rounds before the login is refused, and all of them.
const BEFORE: usize = 5;
const GOOD: usize = 20;
/// The variable with the login, as `docs/agents.md` names it.
const LOGIN: &str = "CLAUDE_CODE_OAUTH_TOKEN";

/// One host that has the CLI on its `PATH`, and the project as its operator writes it.
struct Night {
    controller: Controller,
    mock: MockProvider,
    lab: Lab,
}

/// `None` where hosts or the CLI cannot be had.
fn night() -> Option<Night> {
    let cli = Cli::named("claude").unwrap();
    let programs = or_skip(installed(cli))?;
    let options = HostOptions {
        read_only: vec![programs.ancestors().nth(2).unwrap().to_owned()],
        ..Default::default()
    };
    let lab = or_skip(Lab::up_with(&[options]))?;
    let mock = MockProvider::start_at(Behavior::Append, (lab.address(), 0).into()).unwrap();
    let host = &lab.hosts()[0];
    host.furnish().unwrap();
    let program = programs.join(cli.name);
    let link =
        format!("rm /home/ops/.local/bin/claude && ln -s '{}' /usr/local/bin/claude", program.display());
    host.root(&link).unwrap().checked().unwrap();
    let told = host.says("claude --version").unwrap();
    assert!(told.contains(cli.version), "the host has {told}");

    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
    lab.write_ssh_config(controller.home()).unwrap();
    scaffold(&controller, &cli.env(&mock.url()));
    let inventory = format!(
        "[fleet]\nname = \"lab\"\n\n[groups.lab]\nhosts = [{:?}]\n\n[projects.demo]\non = \"lab\"\n\
         work_dir = \"~/demo\"\nconfig = \"demo/agent-runner.toml\"\nprompts = \"demo/prompts\"\n\
         env_file = \"demo.env\"\nservice = {{ scope = \"user\", monitor = true }}\n",
        host.name()
    );
    controller.write("fleet.toml", &inventory).unwrap();
    Some(Night { controller, mock, lab })
}

/// What `init --preset claude` writes, with the provider's address in `[agent.env]`, the login in the environment file,
/// and a shorter pause.
fn scaffold(controller: &Controller, env: &[(&str, String)]) {
    let folder = controller.home().join("demo");
    fs::create_dir(&folder).unwrap();
    let here = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&folder).env_clear().env("HOME", controller.home());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        run(&mut command, wait::DEADLINE).unwrap().checked().unwrap()
    };
    here("git", &["init", "--quiet"]);
    here(super::by_hand::PROGRAM, &["init", "--preset", "claude", "--no-commit"]);
    let (login, others): (Vec<_>, Vec<_>) = env.iter().partition(|(name, _)| *name == LOGIN);
    let others: String = others.iter().map(|(name, value)| format!("{name} = {value:?}, ")).collect();
    controller.replace("demo/agent-runner.toml", "env = { ", &format!("env = {{ {others}")).unwrap();
    controller.replace("demo/agent-runner.toml", "restart_delay_s = 3", "restart_delay_s = 2").unwrap();
    controller.write("demo/prompts/main.md", PROMPT).unwrap();
    controller.write("demo.env", &format!("{LOGIN}={}\n", login[0].1)).unwrap();
    private(&controller.home().join("demo.env"));
}

fn private(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

impl Night {
    fn host(&self) -> &Host {
        &self.lab.hosts()[0]
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        self.host().events().unwrap_or_default().into_iter().filter(|event| is(event, kind)).collect()
    }

    fn good_rounds(&self) -> Vec<i64> {
        let exits = self.events("agent_exit");
        exits.iter().filter(|exit| ended_well(exit)).map(round_of).collect()
    }

    /// Waits for so many good rounds, none of which takes longer than `ROUNDS`.
    fn until_good(&self, rounds: usize) {
        for so_many in self.good_rounds().len() + 1..=rounds {
            let reached = wait::until(ROUNDS, || self.good_rounds().len() >= so_many);
            assert!(reached, "not {so_many} good rounds: {}", self.host().newest(30));
        }
    }

    /// What the operator reads at their own machine.
    fn reads(&self, words: &[&str]) -> String {
        self.controller.run(words).unwrap().checked().unwrap()
    }

    /// Changes what the provider does; what it was asked so far must have been asked with the project's own login.
    fn provider(&self, behavior: Behavior) {
        self.nobody_elses_login();
        self.mock.behave(behavior);
    }

    fn nobody_elses_login(&self) {
        let seen: Vec<Seen> = self.mock.seen();
        assert!(seen.iter().any(|seen| seen.asked), "the provider was asked nothing");
        assert!(seen.iter().all(|seen| !seen.foreign_key), "another login was used");
    }
}

fn round_of(event: &Value) -> i64 {
    event["round_num"].as_i64().unwrap()
}

#[test]
fn a_real_claude_works_loses_its_login_is_stopped_and_goes_on_after_it_was_renewed() {
    let Some(night) = night() else { return };
    let host = night.host();
    deploy_changes(&night.controller, 1);
    night.until_good(BEFORE);

    night.provider(Behavior::Refused);
    let stopped = || {
        host.unit_state().unwrap() == "inactive" && !night.events("monitor_auto_stop_triggered").is_empty()
    };
    // Three rounds, and the time between two polls of the monitor.
    assert!(wait::until(2 * ROUNDS, stopped), "{}", host.newest(30));
    let refused = night.events("agent_auth_error_detected");
    assert_eq!(refused.len(), 3, "{}", host.newest(30));
    let read = night.reads(&["peek", host.name()]);
    assert!(read.contains("detector = \"oauth_fail\""), "{read}");
    let renewal =
        "hint = \"Claude Code: run `claude auth login` on this host, or set CLAUDE_CODE_OAUTH_TOKEN";
    assert!(read.contains(renewal), "{read}");
    let spawned = night.events("agent_spawn").iter().map(round_of).max().unwrap();
    let good = night.good_rounds().len();

    night.provider(Behavior::Append);
    night.reads(&["start"]);
    night.until_good(good + 1);
    assert_eq!(night.good_rounds()[good], spawned + 1, "{}", host.newest(30));
    night.until_good(GOOD);
    night.nobody_elses_login();
    assert_eq!(host.unit_state().unwrap(), "active");
    let stops = night.events("monitor_auto_stop_triggered");
    assert_eq!(stops.len(), 1, "{stops:?}");
    // The share of the newest ten rounds may still alarm; it stops nothing again.
    let alerts = night.events("monitor_alert_emitted");
    let stopping =
        |alert: &&Value| alert["detector"] == "oauth_fail" && alert["auto_action"] == "stop_service";
    assert_eq!(alerts.iter().filter(stopping).count(), 1, "{alerts:?}");
    assert_eq!(night.events("agent_auth_error_detected").len(), 3);
    assert!(night.events("provider_output_unrecognised").is_empty(), "{}", host.newest(30));
    told_and_done(&night);
}

/// Every good round is counted with its tokens and has left a commit.
fn told_and_done(night: &Night) {
    let good = night.good_rounds();
    let usage = night.events("agent_usage_recorded");
    for round in &good {
        let of = |usage: &&Value| round_of(usage) == *round && usage["output_tokens"] == 2 * OUTPUT_TOKENS;
        assert_eq!(usage.iter().filter(of).count(), 1, "round {round}: {usage:?}");
    }
    let commits = night.host().says("git -C demo log --format=%s").unwrap();
    let steps = commits.lines().filter(|subject| *subject == "one step").count();
    assert!(steps >= good.len(), "{steps} steps in {} rounds", good.len());
}
