//! The scripted agent of the harness does in each mode what the mode is for.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agent_runner_tests::fake_agent::{self, Mode};
use agent_runner_tests::process::{Process, end};
use agent_runner_tests::run::{Output, checked, run};
use agent_runner_tests::wait;
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// A git tree with the agent next to it.
struct Tree {
    dir: TempDir,
}

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = Self { dir };
        fs::create_dir(tree.work()).unwrap();
        tree.git(&["init", "--quiet", "--initial-branch=main"]);
        fake_agent::install(&tree.dir.path().join("bin"), "claude").unwrap();
        tree
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let work = self.work();
        checked("git", &[&["-C", work.to_str().unwrap()], arguments].concat(), wait::DEADLINE).unwrap()
    }

    fn agent(&self) -> Command {
        let mut agent = Command::new(self.dir.path().join("bin/claude"));
        agent.arg("-p").current_dir(self.work());
        agent
    }

    fn run(&self, mode: Mode) -> Output {
        fake_agent::set_mode(&self.work(), &[mode]).unwrap();
        run(&mut self.agent(), wait::DEADLINE).unwrap()
    }

    /// Starts a run that does not end by itself, and returns when it has said that it is there.
    fn start(&self, mode: Mode) -> Child {
        fake_agent::set_mode(&self.work(), &[mode]).unwrap();
        let child = self.agent().stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        assert!(wait::until(wait::DEADLINE, || !fake_agent::left_behind(&self.work()).is_empty()));
        child
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Also when the test failed.
        let _ = end(&fake_agent::left_behind(&self.work()), Duration::ZERO);
    }
}

fn is_stopped(process: Process) -> bool {
    let status = format!("/proc/{}/status", process.pid());
    fs::read_to_string(status).is_ok_and(|text| text.contains("T (stopped)"))
}

fn last_record(output: &Output) -> serde_json::Value {
    serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn work_is_committed_and_reported_as_the_real_cli_does() {
    let tree = Tree::new();
    let output = tree.run(Mode::Work);
    assert_eq!(output.code(), 0, "{}", output.stderr);
    let records: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records[0]["subtype"], "init");
    assert_eq!(records[1]["message"]["content"][0]["input"]["file_path"], "work.md");
    assert_eq!(last_record(&output)["usage"]["output_tokens"], 340);
    assert_eq!(tree.git(&["log", "--format=%s"]), "work: step 1");
    assert_eq!(tree.git(&["status", "--porcelain"]), "");
}

#[test]
fn each_run_takes_one_mode_and_the_last_one_stays() {
    let tree = Tree::new();
    fake_agent::set_mode(&tree.work(), &[Mode::Work, Mode::Exit(3), Mode::Idle]).unwrap();
    let codes: Vec<i32> = (0..4).map(|_| run(&mut tree.agent(), wait::DEADLINE).unwrap().code()).collect();
    assert_eq!(codes, [0, 3, 0, 0]);
    assert_eq!(fake_agent::runs(&tree.work()), 4);
    assert_eq!(tree.git(&["rev-list", "--count", "HEAD"]), "1");
}

#[test]
fn the_mode_comes_from_a_file_in_the_tree_or_the_environment_too() {
    let tree = Tree::new();
    let from_env = run(tree.agent().env("FAKE_AGENT_MODE", "exit 5"), wait::DEADLINE).unwrap();
    assert_eq!(from_env.code(), 5);
    fs::write(tree.work().join(".fake-mode"), "exit 6\n").unwrap();
    let from_file = run(tree.agent().env("FAKE_AGENT_MODE", "exit 5"), wait::DEADLINE).unwrap();
    assert_eq!(from_file.code(), 6);
    let shell = fake_agent::mode_command(tree.work().to_str().unwrap(), &[Mode::Exit(7)]);
    checked("sh", &["-c", &shell], wait::DEADLINE).unwrap();
    assert_eq!(run(&mut tree.agent(), wait::DEADLINE).unwrap().code(), 7);
}

#[test]
fn prompt_and_arguments_are_kept_for_the_test() {
    use std::io::Write as _;
    let tree = Tree::new();
    let mut child =
        tree.agent().arg("two words").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"do the work\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fake_agent::prompt(&tree.work()).unwrap(), "do the work\n");
    assert_eq!(fake_agent::argv(&tree.work()), ["-p", "two words"]);
}

#[test]
fn provider_failures_end_with_one_and_name_their_status() {
    let tree = Tree::new();
    for (mode, status) in [(Mode::Auth, 401), (Mode::Overloaded, 529), (Mode::RateLimit(60), 429)] {
        let output = tree.run(mode);
        assert_eq!(output.code(), 1, "{mode}");
        assert_eq!(last_record(&output)["api_error_status"], status, "{mode}");
    }
    assert!(tree.run(Mode::RateLimit(60)).stdout.contains(r#""rateLimitType":"five_hour""#));
}

#[test]
fn dirty_idle_and_sleep_leave_the_tree_as_they_say() {
    let tree = Tree::new();
    assert_eq!(tree.run(Mode::Idle).code(), 0);
    assert_eq!(tree.git(&["status", "--porcelain"]), "");
    assert_eq!(tree.run(Mode::Dirty).code(), 0);
    assert_eq!(tree.git(&["status", "--porcelain"]), "?? work.md");
    assert_eq!(tree.run(Mode::Sleep(0)).code(), 0);
    assert_eq!(tree.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_hanging_agent_ends_on_sigterm_and_a_stubborn_one_does_not() {
    let tree = Tree::new();
    let mut hanging = tree.start(Mode::Hang);
    fake_agent::left_behind(&tree.work())[0].signal(Signal::SIGTERM);
    assert_eq!(wait::value(wait::DEADLINE, || hanging.try_wait().unwrap()).unwrap().code(), None);
    let mut stubborn = tree.start(Mode::IgnoreTerm);
    let process = fake_agent::left_behind(&tree.work())[0];
    let children = process.descendants();
    process.signal(Signal::SIGTERM);
    children.iter().for_each(|child| child.signal(Signal::SIGTERM));
    assert!(!wait::until(Duration::from_millis(300), || !process.is_alive()));
    // Stopped, it starts no further child behind our back.
    process.signal(Signal::SIGSTOP);
    assert!(wait::until(wait::DEADLINE, || is_stopped(process)));
    assert!(end(&[process.descendants(), vec![process]].concat(), Duration::ZERO));
    stubborn.wait().unwrap();
}

#[test]
fn a_stopped_agent_works_when_it_is_continued() {
    let tree = Tree::new();
    let mut child = tree.start(Mode::StopSelf);
    let process = fake_agent::left_behind(&tree.work())[0];
    assert!(wait::until(wait::DEADLINE, || is_stopped(process)));
    process.signal(Signal::SIGCONT);
    assert!(child.wait().unwrap().success());
    assert_eq!(tree.git(&["log", "--format=%s"]), "work: step 1");
}

#[test]
fn a_grandchild_outlives_the_run_in_its_own_session() {
    let tree = Tree::new();
    assert_eq!(tree.run(Mode::ForkSetsid).code(), 0);
    let left = fake_agent::left_behind(&tree.work());
    assert_eq!(left.len(), 1);
    left[0].signal(Signal::SIGTERM);
    assert!(!wait::until(Duration::from_millis(200), || !left[0].is_alive()));
}

#[test]
fn a_grandchild_holds_standard_output_open_after_the_run() {
    let tree = Tree::new();
    fake_agent::set_mode(&tree.work(), &[Mode::HoldStdout]).unwrap();
    let error = run(&mut tree.agent(), Duration::from_secs(3)).unwrap_err();
    assert!(error.to_string().contains("did not end within"), "{error}");
    assert_eq!(tree.git(&["log", "--format=%s"]), "work: step 1");
}

#[test]
fn floods_and_garbage_come_before_honest_work() {
    let tree = Tree::new();
    let flood = tree.run(Mode::Flood(2_000_000));
    assert!(flood.stdout.len() > 2_000_000 && last_record(&flood)["is_error"] == false);
    let garbage = tree.run(Mode::Garbage);
    assert!(garbage.stdout.contains('\0') && garbage.stdout.contains('\u{fffd}'));
    assert_eq!(last_record(&garbage)["is_error"], false);
}
