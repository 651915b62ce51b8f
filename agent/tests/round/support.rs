//! A project in a temporary folder, rounds run in it, and what they left.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use agent_runner::process::capture::{Capture, capture};
use agent_runner::process::child::{self, Child, Environment, ParentDeath, Spawn, Stdin};
use agent_runner::process::stat;
use agent_runner::store::layout::Layout;
use agent_runner::store::record::Record;

use crate::wait::{self, PATIENCE};
use crate::{events, git};

const MARK: &str = "ROUND_TEST_MARK";

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A project: a git work tree with one commit, a prompt, a log dir beside it.
pub(crate) struct Project {
    dir: tempfile::TempDir,
    mark: String,
    agent: String,
    runtime: String,
    more: String,
    env: Vec<(String, String)>,
}

/// What one finished round returned.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i64,
    pub(crate) stderr: String,
}

impl Project {
    /// A project whose agent is a shell script.
    pub(crate) fn new(script: &str) -> Project {
        let dir = tempfile::Builder::new().prefix("round-test-").tempdir().unwrap();
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{serial}-{}", std::process::id(), dir.path().display());
        let project = Project {
            dir,
            mark,
            agent: String::new(),
            runtime: String::new(),
            more: String::new(),
            env: Vec::new(),
        };
        fs::create_dir(project.work_dir()).unwrap();
        put(&project.work_dir().join("prompt.md"), &format!("Do the work.\n{}", "x".repeat(600)));
        put(&project.work_dir().join("file.txt"), "one\ntwo\nthree\n");
        put(&project.script(), script);
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        project.git(&["add", "--all"]);
        project.git(&["commit", "--quiet", "-m", "start"]);
        project
    }

    pub(crate) fn agent(mut self, lines: &str) -> Project {
        self.agent = lines.to_owned();
        self
    }

    pub(crate) fn runtime(mut self, lines: &str) -> Project {
        self.runtime = lines.to_owned();
        self
    }

    pub(crate) fn more(mut self, tables: &str) -> Project {
        self.more = tables.to_owned();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Project {
        self.set_env(name, value);
        self
    }

    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn work_dir(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.dir.path().join("agent.sh")
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.dir.path().join("logs"))
    }

    /// Starts a round and waits for its end.
    pub(crate) fn run(&self) -> Ran {
        self.run_with(&[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str]) -> Ran {
        let done = capture(Capture {
            argv: self.command(arguments),
            cwd: self.work_dir(),
            env: self.environment(),
            stdin: Stdin::Null,
            timeout: PATIENCE,
            output_limit: 16 << 20,
        })
        .unwrap();
        assert!(!done.timed_out, "the round did not end: {}", String::from_utf8_lossy(&done.stderr));
        Ran { code: done.status.code(), stderr: String::from_utf8_lossy(&done.stderr).into_owned() }
    }

    /// Starts a round and lets it run.
    pub(crate) fn start(&self) -> Child {
        let output = File::create(self.root().join("round.out")).unwrap();
        child::spawn(Spawn {
            argv: self.command(&[]),
            cwd: self.work_dir(),
            env: self.environment(),
            stdin: Stdin::Null,
            output,
            parent_death: ParentDeath::Survive,
        })
        .unwrap()
    }

    /// Runs git in the work tree and returns what it printed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git::git(&self.work_dir(), arguments)
    }

    /// Writes the configuration, as every start of a round does.
    pub(crate) fn write_config(&self) -> PathBuf {
        let path = self.dir.path().join("agent-runner.toml");
        let (work, logs) = (self.work_dir(), self.layout().root().to_owned());
        let agent = if self.agent.is_empty() {
            "prompt_arg_template = [\"{prompt}\"]".to_owned()
        } else {
            self.agent.clone()
        };
        // A test that gives its own list of prompt files begins with it.
        let prompt = if self.more.starts_with("files") {
            String::new()
        } else {
            format!("file = \"{}/prompt.md\"\n", work.display())
        };
        let text = format!(
            "schema_version = 1\n[agent]\ncommand = [\"sh\", \"{}\"]\n{agent}\n[runtime]\nwork_dir = \"{}\"\n\
             log_dir = \"{}\"\n{}\n[prompt]\n{prompt}{}\n",
            self.script().display(),
            work.display(),
            logs.display(),
            self.runtime,
            self.more,
        );
        put(&path, &text);
        path
    }

    /// Every event so far, oldest first.
    pub(crate) fn events(&self) -> Vec<Record> {
        events::events(&self.layout())
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.events().into_iter().map(|event| event.kind).collect()
    }

    /// The newest event of a kind.
    pub(crate) fn event(&self, kind: &str) -> Record {
        let found = self.events().into_iter().rev().find(|event| event.kind == kind);
        assert!(found.is_some(), "no {kind} among {:?}", self.kinds());
        found.unwrap()
    }

    pub(crate) fn has(&self, kind: &str) -> bool {
        self.kinds().iter().any(|found| found == kind)
    }

    /// What the agent of the newest round printed.
    pub(crate) fn agent_log(&self) -> Vec<u8> {
        let entries = fs::read_dir(self.layout().rounds_dir()).unwrap();
        let newest = entries
            .map(|entry| entry.unwrap().path())
            .max_by_key(|path| path.metadata().unwrap().modified().unwrap());
        fs::read(newest.unwrap()).unwrap()
    }

    /// Processes of this project that are alive, by name.
    pub(crate) fn alive(&self) -> Vec<String> {
        let wanted = format!("{MARK}={}", self.mark);
        let is_ours = |pid: i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes())
        };
        let all = stat::all().into_iter().filter(|process| !process.is_dead() && is_ours(process.pid));
        all.map(|process| format!("{} {}", process.name, process.pid)).collect()
    }

    /// Asserts that nothing of the project runs any more.
    pub(crate) fn assert_nothing_is_left(&self) {
        assert_eq!(self.alive(), Vec::<String>::new());
        assert!(!self.layout().round_lock_holder().exists(), "the holder file is left");
    }

    /// Waits until a file exists and is not empty, and returns its text.
    pub(crate) fn wait_for_file(&self, path: &Path) -> String {
        wait::value("a file with something in it", || {
            fs::read_to_string(path).ok().filter(|text| !text.is_empty())
        })
    }

    fn command(&self, arguments: &[&str]) -> Vec<OsString> {
        let config = self.write_config();
        let program = OsString::from(env!("CARGO_BIN_EXE_agent-runner"));
        let mut argv = vec![program, "--config".into(), config.into(), "round".into()];
        argv.extend(arguments.iter().map(OsString::from));
        argv
    }

    fn environment(&self) -> Environment {
        let mut env = Environment::default()
            .with("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .with("HOME", self.root())
            .with("GIT_CONFIG_GLOBAL", "/dev/null")
            .with("GIT_CONFIG_NOSYSTEM", "1")
            .with("TMPDIR", self.root())
            .with(MARK, &self.mark);
        for role in ["AUTHOR", "COMMITTER"] {
            env =
                env.with(format!("GIT_{role}_NAME"), "T").with(format!("GIT_{role}_EMAIL"), "t@example.com");
        }
        for (name, value) in &self.env {
            env = env.with(name, value);
        }
        env
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // A failed test must not leave its agents behind.
        for process in self.alive() {
            let pid = process.rsplit(' ').next().unwrap_or_default();
            if let Ok(pid) = pid.parse() {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
        }
    }
}

/// Writes a file.
pub(crate) fn put(path: &Path, text: &str) {
    File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Signals a running round.
pub(crate) fn signal(round: &Child, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(round.pid()), signal).unwrap();
}

/// Waits for a running round's end and returns its code.
pub(crate) fn end_of(round: &mut Child) -> i64 {
    round.wait_until(Instant::now() + PATIENCE).unwrap().expect("the round ends").code()
}

/// Returns whether a text holds some bytes.
pub(crate) fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == std::ffi::OsStr::new(part).as_bytes())
}
