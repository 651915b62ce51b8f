//! What is wrong on a device: configuration, work tree, agent CLI, questions that make no sense.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent_runner_tests::run::run;
use agent_runner_tests::wait;
use tempfile::TempDir;

use super::{Entry, Places};

const PROGRAM: &str = env!("CARGO_BIN_EXE_agent-runner-under-test");

const CONFIG: &str = r#"schema_version = 1

[agent]
command = ["true"]
prompt_arg_template = ["{prompt}"]

[runtime]
work_dir = "."
log_dir = "~/logs"

[prompt]
file = "prompt.md"
"#;

/// A home with a work tree and a project in it.
struct Device {
    home: TempDir,
}

impl Device {
    fn new() -> Self {
        let device =
            Self { home: tempfile::Builder::new().prefix("agent-runner-errors-").tempdir().unwrap() };
        fs::create_dir(device.work()).unwrap();
        device.write("agent-runner.toml", CONFIG);
        device.write("prompt.md", &"Do one small piece of work, completely. ".repeat(20));
        for arguments in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", "start"]] {
            let git = run(device.command("git").args(arguments), wait::DEADLINE).unwrap();
            assert!(git.success(), "{}", git.stderr);
        }
        device
    }

    fn work(&self) -> PathBuf {
        self.home.path().join("work")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.work().join(name), text).unwrap();
    }

    fn replace(&self, from: &str, to: &str) {
        assert!(CONFIG.contains(from), "{from}");
        self.write("agent-runner.toml", &CONFIG.replace(from, to));
    }

    /// A copy that may be replaced.
    fn own_program(&self) -> String {
        let copy = self.home.path().join("agent-runner");
        fs::copy(PROGRAM, &copy).unwrap();
        copy.display().to_string()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.work())
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "t").env(format!("GIT_{who}_EMAIL"), "t@example.org");
        }
        command
    }
}

/// One thing that goes wrong: what it is called, what breaks it, what is typed.
type Case = (&'static str, fn(&Device), &'static [&'static str]);

const CASES: &[Case] = &[
    ("No configuration here", |device| remove(device, "agent-runner.toml"), &["round"]),
    ("A configuration that is not there", |_| {}, &["--config", "nosuch.toml", "round"]),
    ("A configuration that is no TOML", |device| device.replace("\"~/logs\"", "\"~/logs"), &["round"]),
    ("A key that does not exist", |device| device.replace("work_dir", "wrok_dir"), &["round"]),
    ("A value of the wrong kind", |device| device.replace("\".\"", "7"), &["round"]),
    (
        "A number out of its range",
        |device| device.replace("[runtime]", "[runtime]\nround_budget_s = -1"),
        &["round"],
    ),
    (
        "Two names of one setting",
        |device| device.replace("[runtime]", "[runtime]\nround_budget_s = 60\nround_timeout_s = 60"),
        &["round"],
    ),
    ("A prompt that is not there", |device| device.replace("prompt.md", "nosuch.md"), &["round"]),
    ("A prompt too short to be meant", |device| device.write("prompt.md", "work"), &["round"]),
    ("A work tree that is no git repository", |device| remove(device, ".git"), &["round"]),
    ("A work tree that is not there", |device| device.replace("\".\"", "\"~/nosuch\""), &["round"]),
    (
        "An agent CLI that is not installed",
        |device| device.replace("\"true\"", "\"nosuch-agent\""),
        &["round"],
    ),
    ("A preset that does not exist", |_| {}, &["presets", "show", "claud"]),
    ("A project begun twice", |_| {}, &["init", "--preset", "claude"]),
    ("A time that is none", |_| {}, &["events", "--kind", "round_end", "--since", "yesterday"]),
    ("A key that peek does not know", |_| {}, &["peek", "--json", "--select", "round.nosuch"]),
    ("A mode that polls once", |_| {}, &["monitor", "--once", "--mode", "http"]),
    ("A cursor for another mode", |_| {}, &["monitor", "--cursor", "events-2026-11.jsonl:0"]),
    ("A cursor that is none", |_| {}, &["monitor", "--mode", "stream", "--cursor", "seven"]),
    ("A program to upgrade to that is not there", |_| {}, &["upgrade", "--from", "nosuch"]),
    ("A program to upgrade to that is none", |_| {}, &["upgrade", "--from", "prompt.md"]),
    ("A manifest that is none", |_| {}, &["apply"]),
    ("A verb that does not exist", |_| {}, &["rond"]),
    ("An option that does not exist", |_| {}, &["round", "--forse"]),
    ("A shell that does not exist", |_| {}, &["completions", "cmd"]),
];

fn remove(device: &Device, name: &str) {
    let path = device.work().join(name);
    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

pub(super) fn entries() -> (Places, Vec<Entry>) {
    let mut places = vec![(PROGRAM.to_owned(), "agent-runner")];
    let entries = CASES.iter().map(|(title, breaks, arguments)| {
        let device = Device::new();
        breaks(&device);
        let program = if arguments.contains(&"upgrade") { device.own_program() } else { PROGRAM.into() };
        let output = run(device.command(&program).args(*arguments), wait::DEADLINE).unwrap();
        for path in [device.home.path(), &canonical(device.home.path())] {
            places.push((path.display().to_string(), "/home/ann"));
        }
        Entry { title, command: format!("agent-runner {}", arguments.join(" ")), output }
    });
    let entries = entries.collect();
    (Places(places), entries)
}

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap()
}
