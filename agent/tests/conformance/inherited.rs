//! The fixture `tests/fixtures/python-0.3.14`, as if it had been left a moment ago.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use agent_runner::store::atomic;
use agent_runner::store::layout::Layout;
use agent_runner::store::record::Record;
use agent_runner::store::time;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::events;
use crate::git::git;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/python-0.3.14");

/// Where the time stamp of a line begins, and where it ends.
const STAMP: std::ops::Range<usize> = 8..32;

/// A project of the Python program: `work`, `logs`, `bin/claude`, and what it `said` about itself.
pub(crate) struct Inherited {
    dir: tempfile::TempDir,
    /// How many seconds everything was moved towards now.
    pub(crate) moved_s: i64,
}

impl Inherited {
    /// Takes a copy whose newest event is so many seconds old.
    pub(crate) fn left_ago(ago_s: i64) -> Inherited {
        let dir = tempfile::Builder::new().prefix("taken-over-").tempdir().unwrap();
        let project = Inherited { dir, moved_s: 0 };
        copy(Path::new(FIXTURE), project.root(), project.root());
        let newest = project.events().last().unwrap().time().unwrap();
        let moved = Timestamp::now().duration_since(newest) - SignedDuration::from_secs(ago_s);
        let project = Inherited { moved_s: moved.as_secs(), ..project };
        project.move_in_time();
        project.git(&["init", "--quiet", "--initial-branch=other"]);
        project.git(&["fetch", "--quiet", "../repository.bundle", "refs/*:refs/*"]);
        project.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        project.git(&["add", "--all"]);
        project.git(&["commit", "--quiet", "-m", "moved to another folder"]);
        project
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.root().join("logs"))
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.root().join("work/agent-runner.toml")
    }

    /// Says what the scripted agent does from now on.
    pub(crate) fn act(&self, act: &str) {
        put(&self.root().join("act"), act);
    }

    /// Changes the configuration and commits it.
    pub(crate) fn configure(&self, old: &str, new: &str) {
        let text = fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(old), "{text}");
        put(&self.config(), &text.replace(old, new));
        self.git(&["commit", "--quiet", "--all", "-m", "configured"]);
    }

    /// What the Python program said, as JSON.
    pub(crate) fn said(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.root().join("said").join(name)).unwrap()).unwrap()
    }

    /// Every event, oldest first.
    pub(crate) fn events(&self) -> Vec<Record> {
        events::events(&self.layout())
    }

    /// Every line of the event log, oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        lines_of(&self.layout().events_files())
    }

    /// Every line of the host's samples, oldest first.
    pub(crate) fn samples(&self) -> Vec<String> {
        lines_of(&self.layout().metrics_files())
    }

    /// Runs our program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_agent-runner"))
            .arg("--config")
            .arg(self.config())
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Runs our program and returns its JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let done = self.run(&[&["--json"], arguments].concat());
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// Runs git in the work tree and returns what it printed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.root().join("work"), arguments)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.root()).env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "T").env(format!("GIT_{role}_EMAIL"), "t@example.org");
        }
        command.current_dir(self.root().join("work")).stdin(Stdio::null());
        command
    }

    /// Moves events, samples and reset times, and puts each line into its month's file.
    fn move_in_time(&self) {
        for kind in ["events-", "metrics-"] {
            let files = match kind {
                "events-" => self.layout().events_files(),
                _ => self.layout().metrics_files(),
            };
            let text: String = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
            files.iter().for_each(|path| fs::remove_file(path).unwrap());
            let mut months = std::collections::BTreeMap::<String, String>::new();
            for line in text.lines() {
                let moved = self.moved_line(line);
                let month = months.entry(moved[STAMP][..7].to_owned()).or_default();
                month.push_str(&moved);
                month.push('\n');
            }
            for (month, lines) in months {
                put(&self.layout().root().join(format!("{kind}{month}.jsonl")), &lines);
            }
        }
    }

    fn moved_line(&self, line: &str) -> String {
        let at: Timestamp = line[STAMP].parse().unwrap();
        let stamp = time::stamp(at + SignedDuration::from_secs(self.moved_s));
        let line = line.replacen(&line[STAMP], &stamp, 1);
        let Some((before, rest)) = line.split_once("\"reset_at_epoch\": ") else { return line };
        let (number, after) = rest.split_once(',').unwrap();
        let reset = number.parse::<i64>().unwrap() + self.moved_s;
        format!("{before}\"reset_at_epoch\": {reset},{after}")
    }
}

fn put(path: &Path, text: &str) {
    atomic::replace_with_mode(path, text.as_bytes(), 0o644).unwrap();
}

fn lines_of(files: &[PathBuf]) -> Vec<String> {
    let texts = files.iter().map(|path| fs::read_to_string(path).unwrap());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Copies the fixture, with its folder's name put in; the bundle is copied as it is.
fn copy(from: &Path, to: &Path, root: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let source = entry.unwrap().path();
        let target = to.join(source.file_name().unwrap());
        if source.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source).unwrap(), target).unwrap();
        } else if source.is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&source, &target, root);
        } else if let Ok(text) = fs::read_to_string(&source) {
            put(&target, &text.replace("@ROOT@", root.to_str().unwrap()));
            fs::set_permissions(&target, source.metadata().unwrap().permissions()).unwrap();
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}
