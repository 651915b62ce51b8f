//! The demo shows the whole job on this machine, as any user, and leaves nothing, however it ends.

use std::fs;
use std::time::Duration;

use agent_runner_tests::fleet::{Controller, Running};
use agent_runner_tests::process::{Process, mentioning};
use agent_runner_tests::wait;
use tempfile::TempDir;

/// A run of the demo whose files are below a folder of its own, by which its processes are found.
struct Demo {
    controller: Controller,
    tmp: TempDir,
}

impl Demo {
    fn new() -> Self {
        let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
        let tmp = tempfile::Builder::new().prefix("agent-runner-demo-test-").tempdir().unwrap();
        Self { controller, tmp }
    }

    fn start(&self) -> Running {
        Running::start(self.controller.command().arg("demo").env("TMPDIR", self.tmp.path())).unwrap()
    }

    fn processes(&self) -> Vec<Process> {
        mentioning(self.tmp.path().to_str().unwrap())
    }

    fn left_nothing(&self) {
        let files: Vec<_> = fs::read_dir(self.tmp.path()).unwrap().flatten().collect();
        assert!(files.is_empty(), "{files:?}");
        assert_eq!(self.processes(), []);
        let home: Vec<_> = fs::read_dir(self.controller.home()).unwrap().flatten().collect();
        assert!(home.is_empty(), "the demo wrote to the operator's home: {home:?}");
    }

    /// Ctrl-C as soon as this was said.
    fn interrupted_at(text: &str) {
        let demo = Self::new();
        let running = demo.start();
        running.wait_for_text(wait::DEADLINE, text).unwrap();
        running.interrupt();
        let output = running.wait(wait::DEADLINE).unwrap();
        assert_eq!(output.code(), 130, "{}\n{}", output.stdout, output.stderr);
        demo.left_nothing();
    }
}

#[test]
fn the_demo_deploys_works_stops_the_one_host_and_leaves_nothing() {
    let demo = Demo::new();
    let running = demo.start();
    running.wait_for_text(wait::DEADLINE, " round 1 ok").unwrap();
    assert!(demo.processes().len() > 3, "its Loops run and are found");
    let output = running.wait(Duration::from_secs(120)).unwrap();
    assert_eq!(output.code(), 0, "{}\n{}", output.stdout, output.stderr);
    let said = |text: &str| output.stdout.matches(text).count();
    assert_eq!(said("deploy: ok") + said("changed 3"), 1, "{}", output.stdout);
    assert!(said(" ok (") >= 6, "{}", output.stdout);
    assert_eq!(said("[CRIT] pi2/demo oauth_fail"), 1, "{}", output.stdout);
    assert_eq!(said("stopped for oauth_fail"), 1, "{}", output.stdout);
    assert_eq!(said("pi2/demo stopped for oauth_fail"), 1, "{}", output.stdout);
    demo.left_nothing();
}

#[test]
fn the_demo_interrupted_while_it_deploys_leaves_nothing() {
    Demo::interrupted_at("agent-runner-fleet deploy:");
}

#[test]
fn the_demo_interrupted_while_its_agents_work_leaves_nothing() {
    Demo::interrupted_at(" round 1 ok");
}
