//! A project in a temporary folder with a scripted agent, and `serve` running on it.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use agent_runner::process::tree;
use agent_runner::store::atomic;
use agent_runner::store::layout::Layout;
use agent_runner::store::record::Record;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::git::git;
use crate::running::is_running;
use crate::{events, wait};

/// The agent waits until the test says `go`; its process id is in `agent.pid` while it does.
pub(crate) const WAITING_AGENT: &str =
    "echo $$ >\"$HOME/agent.new\"; mv \"$HOME/agent.new\" \"$HOME/agent.pid\"
while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done; rm -f \"$HOME/agent.pid\"";

/// A project: `work` is its git work tree, `logs` its log dir, the folder itself the agent's `$HOME`.
pub(crate) struct Project {
    dir: TempDir,
    program: PathBuf,
}

impl Project {
    /// Makes a project whose agent runs this shell script.
    pub(crate) fn new(agent: &str) -> Project {
        Project::configured(agent, "")
    }

    /// Makes a project with more configuration; `[runtime]` keys first.
    pub(crate) fn configured(agent: &str, more: &str) -> Project {
        let dir = tempfile::tempdir().unwrap();
        let project = Project { dir, program: env!("CARGO_BIN_EXE_agent-runner").into() };
        fs::create_dir(project.work()).unwrap();
        project.write("agent.sh", agent);
        project.write("work/prompt.md", &"Do what has to be done. ".repeat(30));
        let delay = if more.contains("restart_delay_s") { "" } else { "restart_delay_s = 1\n" };
        let config = format!(
            "schema_version = 1\n[agent]\ncommand = [\"sh\", \"{}\"]\nprompt_arg_template = [\"{{prompt}}\"]\n\
             [prompt]\nfile = \"prompt.md\"\n[runtime]\nwork_dir = \".\"\nlog_dir = \"{}\"\n{delay}{more}\n",
            project.path("agent.sh").display(),
            project.logs().root().display(),
        );
        project.write("work/agent-runner.toml", &config);
        git(&project.work(), &["init", "--quiet"]);
        git(&project.work(), &["add", "--all"]);
        git(&project.work(), &["commit", "--quiet", "-m", "start"]);
        project
    }

    /// Runs another program file.
    pub(crate) fn with_program(mut self, program: PathBuf) -> Project {
        self.program = program;
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path("work")
    }

    pub(crate) fn logs(&self) -> Layout {
        Layout::new(self.path("logs"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        atomic::replace(&self.path(name), text.as_bytes()).unwrap();
    }

    /// Appends to this month's event log.
    pub(crate) fn seed(&self, events: &str) {
        fs::create_dir_all(self.logs().root()).unwrap();
        let file = self.logs().events_file(jiff::Timestamp::now());
        agent_runner::store::event_log::append_line(&file, events.as_bytes()).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns the events so far, oldest first.
    pub(crate) fn events(&self) -> Vec<Record> {
        events::events(&self.logs())
    }

    /// Returns the events of a kind.
    pub(crate) fn of_kind(&self, kind: &str) -> Vec<Record> {
        self.events().into_iter().filter(|record| record.kind == kind).collect()
    }

    /// Waits until there are so many events of a kind, and returns them.
    pub(crate) fn wait_for(&self, kind: &str, count: usize) -> Vec<Record> {
        wait::value(kind, || Some(self.of_kind(kind)).filter(|found| found.len() >= count))
    }

    /// Waits for a file and returns the process id in it.
    pub(crate) fn wait_for_pid(&self, name: &str) -> i32 {
        wait::value(name, || fs::read_to_string(self.path(name)).ok()?.trim().parse().ok())
    }

    /// Returns the process id of the running round.
    pub(crate) fn round_pid(&self) -> i32 {
        wait::value("the holder file", || {
            let text = fs::read_to_string(self.logs().round_lock_holder()).ok()?;
            serde_json::from_str::<serde_json::Value>(&text).ok()?.get("pid")?.as_i64()?.try_into().ok()
        })
    }

    /// Starts `serve`.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Serve {
        let said = self.path(&format!("stderr-{}", fs::read_dir(self.dir.path()).unwrap().count()));
        let mut command = self.command();
        command.arg("serve").args(arguments);
        command.stdout(File::create(self.path("stdout")).unwrap()).stderr(File::create(&said).unwrap());
        Serve { child: command.spawn().unwrap(), said, ended: None }
    }

    /// Starts `serve` for one round that dies at a step.
    pub(crate) fn serve_dying(&self, step: &str) -> Serve {
        let said = self.path("stderr-dying");
        let mut command = self.command();
        command.env("AGENT_RUNNER_FAILPOINT", step).args(["serve", "--once"]);
        command.stdout(Stdio::null()).stderr(File::create(&said).unwrap());
        Serve { child: command.spawn().unwrap(), said, ended: None }
    }

    /// Starts `serve` with a service manager that listens.
    pub(crate) fn serve_notified(&self, arguments: &[&str]) -> (Serve, UnixDatagram) {
        let socket = self.path("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_nonblocking(true).unwrap();
        let said = self.path("stderr-notified");
        let mut command = self.command();
        command.env("NOTIFY_SOCKET", &socket).arg("serve").args(arguments);
        command.stdout(Stdio::null()).stderr(File::create(&said).unwrap());
        (Serve { child: command.spawn().unwrap(), said, ended: None }, manager)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", self.dir.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.arg("--config").arg(self.path("work/agent-runner.toml")).current_dir("/");
        command.stdin(Stdio::null());
        command
    }
}

/// A running `serve`; ended with everything below it on drop.
pub(crate) struct Serve {
    child: Child,
    said: PathBuf,
    ended: Option<i32>,
}

impl Serve {
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for its end and returns the exit code; a signal is its negative number.
    pub(crate) fn wait(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let status = wait::value("serve's end", || self.child.try_wait().unwrap());
        let code = status.code().unwrap_or_else(|| -status.signal().unwrap());
        self.ended = Some(code);
        code
    }

    /// Returns what it has written to stderr.
    pub(crate) fn said(&self) -> String {
        let mut text = String::new();
        File::open(&self.said).unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let below = tree::descendants(self.pid());
        self.child.kill().ok();
        self.child.wait().ok();
        for process in below.iter().filter(|process| process.is_alive()) {
            kill(Pid::from_raw(process.pid), Signal::SIGKILL).ok();
        }
    }
}

/// Waits until a process is gone.
pub(crate) fn until_gone(pid: i32) {
    wait::until("a process to be gone", || !is_running(pid));
}

/// Waits until the service manager is told a status with this text.
pub(crate) fn until_told(manager: &UnixDatagram, text: &str) {
    let mut buffer = [0; 512];
    wait::value(text, || {
        let count = manager.recv(&mut buffer).ok()?;
        String::from_utf8_lossy(buffer.get(..count)?).contains(text).then_some(())
    });
}

/// Returns everything the manager was told and has not heard yet.
pub(crate) fn heard(manager: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; 512];
    let mut next = || {
        let count = manager.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(buffer.get(..count)?).into_owned())
    };
    std::iter::from_fn(&mut next).collect()
}

/// Returns whether a path exists.
pub(crate) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
