//! The only caller of systemctl. Every call is capped; nothing here decides.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::Account;
use super::mode::UnitState;
use crate::process::capture::{Capture, Captured, capture};
use crate::process::child::{Environment, Stdin};

/// How long one call may take.
const CALL_CAP: Duration = Duration::from_secs(10);

/// How much of one call's output is kept, in bytes.
const OUTPUT_MAX: usize = 64 * 1024;

/// One systemd manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manager {
    /// The account's own, reached through its runtime folder.
    User {
        /// `XDG_RUNTIME_DIR`.
        runtime_dir: Option<PathBuf>,
    },
    /// The system's.
    System,
}

/// A call that did not do its work.
#[derive(Debug, Error)]
pub enum SystemctlError {
    /// It could not be run.
    #[error("running {0}")]
    Run(String, #[source] io::Error),
    /// It took too long.
    #[error("{0} took longer than 10 s")]
    TimedOut(String),
    /// It failed.
    #[error("{call} failed: {text}")]
    Failed {
        /// The command line.
        call: String,
        /// The last line it printed that says why.
        text: String,
    },
}

/// What `systemctl show` says of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitShow {
    /// `ActiveState`, when it is one we know.
    pub state: Option<UnitState>,
    /// `SubState`.
    pub sub_state: String,
    /// `MainPID`, when there is one.
    pub main_pid: Option<i32>,
    /// `Result`.
    pub result: String,
    /// `NRestarts`.
    pub restarts: u64,
    /// Whether something is queued for it: between the stop and the start of a restart, a unit is inactive.
    pub has_job: bool,
}

impl Manager {
    /// Returns the account's own manager.
    pub fn user(account: &Account) -> Manager {
        Manager::User { runtime_dir: account.runtime_dir.clone() }
    }

    /// Returns the command as a person would type it.
    pub fn command(&self) -> &'static str {
        match self {
            Manager::User { .. } => "systemctl --user",
            Manager::System => "systemctl",
        }
    }

    /// Returns what a person calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Manager::User { .. } => "systemd of this account",
            Manager::System => "systemd",
        }
    }

    /// Returns whether the manager answers.
    ///
    /// # Errors
    /// Why it does not.
    pub fn reach(&self) -> Result<(), SystemctlError> {
        self.run(&["show", "--property=Version"]).map(drop)
    }

    /// Asks what a unit does; an unknown unit is inactive.
    ///
    /// # Errors
    /// When the manager does not answer.
    pub fn show(&self, unit: &str) -> Result<UnitShow, SystemctlError> {
        let properties = "--property=ActiveState,SubState,MainPID,Result,NRestarts,Job";
        Ok(UnitShow::read(&self.run(&["show", properties, "--", unit])?))
    }

    /// Returns whether a unit is enabled.
    ///
    /// # Errors
    /// When the manager does not answer.
    pub fn is_enabled(&self, unit: &str) -> Result<bool, SystemctlError> {
        let captured = self.call(&["is-enabled", "--", unit])?;
        Ok(String::from_utf8_lossy(&captured.stdout).trim() == "enabled")
    }

    /// Runs a verb on a unit and waits for it: `start`, `enable`, `disable`, `stop`.
    ///
    /// # Errors
    /// When it fails.
    pub fn act(&self, verb: &str, unit: &str) -> Result<(), SystemctlError> {
        self.run(&[verb, "--", unit]).map(drop)
    }

    /// Queues a verb on a unit: `start`, `stop`, `restart`.
    ///
    /// # Errors
    /// When it is refused.
    pub fn queue(&self, verb: &str, unit: &str) -> Result<(), SystemctlError> {
        self.run(&["--no-block", verb, "--", unit]).map(drop)
    }

    /// Signals the unit's main process or all of its processes.
    ///
    /// # Errors
    /// When it fails.
    pub fn signal(&self, unit: &str, signal: &str) -> Result<(), SystemctlError> {
        self.run(&["kill", &format!("--signal={signal}"), "--", unit]).map(drop)
    }

    /// Reads the units anew.
    ///
    /// # Errors
    /// When it fails.
    pub fn reload(&self) -> Result<(), SystemctlError> {
        self.run(&["daemon-reload"]).map(drop)
    }

    /// Forgets that a unit failed, so that its start limit does not stand in the way.
    pub fn reset_failed(&self, unit: &str) {
        // A unit that never failed is refused, which is what we want.
        let _ = self.call(&["reset-failed", "--", unit]);
    }

    /// Returns the environment a call needs beyond ours.
    pub fn environment(&self) -> Environment {
        let inherited = Environment::inherited().with("SYSTEMD_COLORS", "0").with("LC_ALL", "C");
        match self {
            Manager::User { runtime_dir: Some(dir) } => inherited.with("XDG_RUNTIME_DIR", dir),
            Manager::User { runtime_dir: None } | Manager::System => inherited,
        }
    }

    fn run(&self, args: &[&str]) -> Result<String, SystemctlError> {
        let captured = self.call(args)?;
        if captured.is_success() {
            return Ok(String::from_utf8_lossy(&captured.stdout).into_owned());
        }
        let text = reason(&String::from_utf8_lossy(&captured.stderr)).to_owned();
        Err(SystemctlError::Failed { call: self.line(args), text })
    }

    fn call(&self, args: &[&str]) -> Result<Captured, SystemctlError> {
        let mut argv: Vec<OsString> = vec!["systemctl".into()];
        if matches!(self, Manager::User { .. }) {
            argv.push("--user".into());
        }
        argv.push("--no-pager".into());
        argv.extend(args.iter().map(OsString::from));
        let call = Capture {
            argv,
            cwd: "/".into(),
            env: self.environment(),
            stdin: Stdin::Null,
            timeout: CALL_CAP,
            output_limit: OUTPUT_MAX,
        };
        let captured = capture(call).map_err(|error| SystemctlError::Run(self.line(args), error))?;
        if captured.timed_out {
            return Err(SystemctlError::TimedOut(self.line(args)));
        }
        Ok(captured)
    }

    fn line(&self, args: &[&str]) -> String {
        format!("`{} {}`", self.command(), args.join(" "))
    }
}

/// Returns the line that says why a call failed; where to read more, which often follows it, is no reason.
fn reason(stderr: &str) -> &str {
    let said = |line: &&str| !line.is_empty();
    let lines = || stderr.lines().map(str::trim).filter(said);
    lines()
        .rfind(|line| !line.starts_with("See "))
        .or_else(|| lines().next_back())
        .unwrap_or("it printed nothing")
}

impl UnitShow {
    fn read(text: &str) -> UnitShow {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')))
                .unwrap_or("")
                .trim()
        };
        UnitShow {
            state: UnitState::read(value("ActiveState")),
            sub_state: value("SubState").to_owned(),
            main_pid: value("MainPID").parse().ok().filter(|&pid| pid > 0),
            result: value("Result").to_owned(),
            restarts: value("NRestarts").parse().unwrap_or(0),
            has_job: value("Job").parse().is_ok_and(|job: u64| job > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_what_was_said_and_not_where_to_read_more() {
        let refused = "Failed to stop a.service: Interactive authentication required.\n\
                       See system logs and 'systemctl status a.service' for details.\n";
        assert_eq!(reason(refused), "Failed to stop a.service: Interactive authentication required.");
        assert_eq!(reason("See a.\n"), "See a.");
        assert_eq!(reason("one\n two \n\n"), "two");
        assert_eq!(reason(" \n"), "it printed nothing");
    }

    #[test]
    fn properties_are_read_in_any_order_and_missing_ones_are_nothing() {
        let text = "Result=exit-code\nJob=812\nNRestarts=3\nMainPID=0\nActiveState=activating\nSubState=auto-restart\n";
        let expected = UnitShow {
            state: Some(UnitState::Activating),
            sub_state: "auto-restart".into(),
            main_pid: None,
            result: "exit-code".into(),
            restarts: 3,
            has_job: true,
        };
        assert_eq!(UnitShow::read(text), expected);
        assert_eq!((UnitShow::read("").state, UnitShow::read("Job=0\n").has_job), (None, false));
    }
}
