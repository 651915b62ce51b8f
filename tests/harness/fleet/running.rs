//! A run of the controller that goes on: what it has said so far, and its end.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::run::{Output, shown};
use crate::wait;

/// How long an end may take before Ctrl-C is pressed again; short of the two seconds that make two of them one wish.
const ABORTED: Duration = Duration::from_millis(500);

/// A run in progress; dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    /// `stdout` and `stderr`: files, because nobody has to drain them.
    said: TempDir,
}

impl Running {
    /// Starts a command with nothing on its standard input, in a process group of its own.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let said = tempfile::Builder::new().prefix("agent-runner-run-").tempdir()?;
        let shown = shown(command);
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(said.path().join("stdout"))?)
            .stderr(File::create(said.path().join("stderr"))?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start `{shown}`"))?;
        Ok(Self { command: shown, child, said })
    }

    /// The whole lines of its standard output so far that are JSON.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let text = self.read("stdout");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a JSON line on its standard output.
    ///
    /// # Errors
    /// Where none comes in time, with everything it has said.
    pub fn wait_for(&self, deadline: Duration, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let found = wait::value(deadline, || self.lines().into_iter().find(&wanted));
        found.with_context(|| self.complaint(&format!("said nothing of the kind within {deadline:?}")))
    }

    /// Waits until its standard output holds this text.
    ///
    /// # Errors
    /// Where it does not in time, with everything it has said.
    pub fn wait_for_text(&self, deadline: Duration, wanted: &str) -> anyhow::Result<()> {
        let found = wait::until(deadline, || self.read("stdout").contains(wanted));
        anyhow::ensure!(found, self.complaint(&format!("did not say {wanted:?} within {deadline:?}")));
        Ok(())
    }

    /// Waits until its standard error holds this text.
    ///
    /// # Errors
    /// Where it does not in time, with everything it has said.
    pub fn wait_for_error(&self, deadline: Duration, wanted: &str) -> anyhow::Result<()> {
        let found = wait::until(deadline, || self.read("stderr").contains(wanted));
        anyhow::ensure!(
            found,
            self.complaint(&format!("did not complain of {wanted:?} within {deadline:?}"))
        );
        Ok(())
    }

    /// Its standard output so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.read("stdout")
    }

    /// Its standard error so far.
    #[must_use]
    pub fn complained(&self) -> String {
        self.read("stderr")
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> Option<Process> {
        Process::find(self.child.id())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(process) = self.process() {
            process.signal(signal);
        }
    }

    /// Does what Ctrl-C does: SIGINT for the whole process group.
    pub fn interrupt(&self) {
        if let Some(process) = self.process() {
            // A group that has just ended needs no signal.
            let _ = killpg(Pid::from_raw(process.pid()), Signal::SIGINT);
        }
    }

    /// Presses Ctrl-C until it ends: two within two seconds abort, and this machine may be too busy for two to be enough.
    ///
    /// # Errors
    /// Where it does not end in time, with everything it has said.
    pub fn abort(mut self, deadline: Duration) -> anyhow::Result<Output> {
        let ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        let _ = wait::until(deadline, || {
            self.signal(Signal::SIGINT);
            wait::until(ABORTED, || ended(&mut self.child))
        });
        self.wait(deadline)
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// Where it does not in time, with everything it has said.
    pub fn wait(mut self, deadline: Duration) -> anyhow::Result<Output> {
        let status = wait::value(deadline, || self.child.try_wait().ok().flatten());
        let status = status.with_context(|| self.complaint(&format!("did not end within {deadline:?}")))?;
        let (stdout, stderr) = (self.read("stdout"), self.read("stderr"));
        Ok(Output { command: self.command.clone(), status, stdout, stderr })
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.said.path().join(name)).unwrap_or_default()).into_owned()
    }

    fn complaint(&self, what: &str) -> String {
        let (stdout, stderr) = (self.read("stdout"), self.read("stderr"));
        format!("`{}` {what}\nstdout: {stdout}\nstderr: {stderr}", self.command)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only what still runs: a pid that was waited for may be somebody else's.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
