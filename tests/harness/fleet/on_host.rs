//! The project `demo` as a host has it: its events, its units, and what its agent is told.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::fake_agent::{self, Mode};
use crate::lab::Host;
use crate::run::Output;
use crate::wait;

/// The project's folder on a host.
const WORK_DIR: &str = "/home/ops/demo";
/// The unit of its Loop.
const UNIT: &str = "agent-runner@demo.service";
const LOG_DIR: &str = "/home/ops/.agent-runner/demo/logs";

impl Host {
    /// Makes the project's repository and installs the scripted agent as `claude`.
    ///
    /// # Errors
    /// Where the host does not take it.
    pub fn furnish(&self) -> anyhow::Result<()> {
        self.put("/home/ops/.local/bin/claude", fake_agent::SCRIPT.as_bytes(), 0o755)?;
        self.put("/home/ops/.gitconfig", b"[user]\nname = ops\nemail = ops@example.invalid\n", 0o644)?;
        self.says(&format!(
            "git init --quiet --initial-branch=main {WORK_DIR} && \
             git -C {WORK_DIR} commit --quiet --allow-empty --message begin"
        ))?;
        self.set_mode(&[Mode::Sleep(1)])
    }

    /// Says what the agent's next runs do; the last mode stays.
    ///
    /// # Errors
    /// Where the host does not take it.
    pub fn set_mode(&self, modes: &[Mode]) -> anyhow::Result<()> {
        self.says(&fake_agent::mode_command(WORK_DIR, modes)).map(drop)
    }

    /// Every event of the project's log so far, oldest first.
    ///
    /// # Errors
    /// Where there is no log, or a whole line of it is no JSON.
    pub fn events(&self) -> anyhow::Result<Vec<Value>> {
        let text = self.says(&format!("cat {LOG_DIR}/events-*.jsonl"))?;
        let parse = |line: &str| serde_json::from_str(line).with_context(|| format!("event {line:?}"));
        text.lines().map(parse).collect()
    }

    /// Waits for an event of the project and returns it.
    ///
    /// # Errors
    /// Where none comes in time, with the log.
    pub fn wait_for_event(
        &self,
        deadline: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let found = wait::value(deadline, || self.events().ok()?.into_iter().find(&wanted));
        found.with_context(|| {
            format!("{}: no such event within {deadline:?}:\n{}", self.name(), self.newest(20))
        })
    }

    /// The newest lines of the log, for messages.
    #[must_use]
    pub fn newest(&self, lines: usize) -> String {
        let said = self.says(&format!("cat {LOG_DIR}/events-*.jsonl | tail -n {lines}"));
        said.unwrap_or_else(|error| format!("{error:#}"))
    }

    /// The Loop's process id on the host, as its unit knows it; `0` when none runs.
    ///
    /// # Errors
    /// Where the host is off.
    pub fn main_pid(&self) -> anyhow::Result<String> {
        self.says(&format!("systemctl --user show --property MainPID --value {UNIT}"))
    }

    /// What systemd says of the Loop's unit of the user, as [`Host::state_of`].
    ///
    /// # Errors
    /// Where the host is off.
    pub fn unit_state(&self) -> anyhow::Result<String> {
        self.state_of(UNIT)
    }

    /// What `systemctl --user is-active` says of a unit. It is `reloading` while one program hands over to the next,
    /// which may be at the end of any round: the end of that is waited for.
    ///
    /// # Errors
    /// Where the host is off.
    pub fn state_of(&self, unit: &str) -> anyhow::Result<String> {
        settled(|| self.user_command(&format!("systemctl --user is-active '{unit}'")))
    }

    /// [`Host::state_of`] a unit of the system.
    ///
    /// # Errors
    /// Where the host is off.
    pub fn state_of_system(&self, unit: &str) -> anyhow::Result<String> {
        settled(|| self.root(&format!("systemctl is-active '{unit}'")))
    }

    /// The output of a command of the user's that succeeds; works with the cable cut.
    ///
    /// # Errors
    /// Where it fails.
    pub fn says(&self, command: &str) -> anyhow::Result<String> {
        self.user_command(command)?.checked().with_context(|| self.name().to_owned())
    }
}

fn settled(ask: impl Fn() -> anyhow::Result<Output>) -> anyhow::Result<String> {
    let state = || Ok(ask()?.stdout.trim().to_owned());
    let done = || Some(state()).filter(|said| !said.as_ref().is_ok_and(|state| state == "reloading"));
    wait::value(wait::DEADLINE, done).unwrap_or_else(state)
}
