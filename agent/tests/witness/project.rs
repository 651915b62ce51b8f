//! A project in a temporary folder: its configuration, its log dir, and the program run on it with an empty
//! environment.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use agent_runner::store::layout::Layout;
use agent_runner::store::time;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::wait::{self, PATIENCE};

pub(crate) struct Project {
    dir: TempDir,
    pub(crate) layout: Layout,
}

impl Project {
    pub(crate) fn new() -> Project {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("logs"));
        fs::create_dir_all(layout.rounds_dir()).unwrap();
        fs::create_dir_all(dir.path().join("work")).unwrap();
        let project = Project { dir, layout };
        project.configure("");
        project
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("work/agent-runner.toml")
    }

    /// Writes the configuration, with more tables at its end.
    pub(crate) fn configure(&self, more: &str) {
        let log_dir = self.layout.root().display();
        let text = format!(
            "schema_version = 1\n[agent]\ncommand = [\"true\"]\nprompt_arg_template = [\"{{prompt}}\"]\n[runtime]\n\
             work_dir = \".\"\nlog_dir = \"{log_dir}\"\nround_budget_s = 100\n[prompt]\nfile = \"main.md\"\n{more}"
        );
        self.configure_raw(&text);
    }

    pub(crate) fn configure_raw(&self, text: &str) {
        agent_runner::store::atomic::replace(&self.config(), text.as_bytes()).unwrap();
    }

    /// Appends an event written so many seconds ago.
    pub(crate) fn event(&self, ago_s: i64, kind: &str, fields: &Value) -> String {
        let at = Timestamp::now() - SignedDuration::from_secs(ago_s);
        let mut line = format!("{{\"ts\": \"{}\", \"event\": \"{kind}\"", time::stamp(at));
        for (key, value) in fields.as_object().unwrap() {
            line.push_str(&format!(", \"{key}\": {value}"));
        }
        line.push('}');
        self.append("events", &line);
        line
    }

    /// Appends a host sample.
    pub(crate) fn sample(&self, fields: &Value) {
        let mut line = json!({"ts": time::stamp(Timestamp::now()), "event": "round_end"});
        line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.append("metrics", &line.to_string());
    }

    /// Rounds that could not log in, seconds apart, with their logs.
    pub(crate) fn refused_rounds(&self, rounds: std::ops::RangeInclusive<i64>) {
        for round_num in rounds {
            let exit = json!({"round_num": round_num, "exit_code": 1, "duration_s": 2.0, "timed_out": false, "exit_cause": "exited"});
            self.event(3, "round_start", &json!({"round_num": round_num, "phase": null}));
            let log = self.layout.agent_log(round_num, Timestamp::now());
            File::create(log).unwrap().write_all(b"error: 401 Unauthorized\n").unwrap();
            self.event(0, "agent_exit", &exit);
            self.event(0, "round_end", &json!({"round_num": round_num}));
        }
    }

    /// A round that failed at once, with a log that nobody can read, root neither.
    pub(crate) fn unreadable_round(&self, round_num: i64) {
        let exit = json!({"round_num": round_num, "exit_code": 1, "duration_s": 2.0, "timed_out": false, "exit_cause": "error"});
        self.event(3, "round_start", &json!({"round_num": round_num, "phase": null}));
        let log = self.layout.agent_log(round_num, Timestamp::now());
        std::os::unix::fs::symlink(&log, &log).unwrap();
        self.event(0, "agent_exit", &exit);
        self.event(0, "round_end", &json!({"round_num": round_num}));
    }

    /// The events of the log with this kind.
    pub(crate) fn logged(&self, kind: &str) -> Vec<Value> {
        let files = self.layout.events_files();
        let text: String = files.iter().map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
        let parsed = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.filter(|event| event["event"] == kind).collect()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agent-runner"));
        command.args(args).arg("--config").arg(self.config()).env_clear().env("HOME", self.dir.path());
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What the program printed, which must have ended well.
    pub(crate) fn printed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::of(&mut self.command(args))
    }

    fn append(&self, family: &str, line: &str) {
        let month = time::month(Timestamp::now());
        let path = self.layout.root().join(format!("{family}-{month}.jsonl"));
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// A program that goes on; ended with the test.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn of(command: &mut Command) -> Running {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Running { child, lines }
    }

    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn try_line(&self) -> Option<String> {
        self.lines.recv_timeout(Duration::from_millis(50)).ok()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Reads JSON lines up to the first that fits.
    pub(crate) fn json_until(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.json();
            if fits(&value) {
                return value;
            }
            assert!(Instant::now() < deadline, "the last line was {value}");
        }
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn try_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait::value("the program to end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
