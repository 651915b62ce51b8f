//! A throw-away home and the controller run in it, with nothing of this user's environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use super::running::Running;
use crate::run::{Output, run};

/// How long a verb may take on this machine.
const DEADLINE: Duration = Duration::from_secs(180);

/// A home with `fleet.toml` in it, in which the controller is run.
#[derive(Debug)]
pub struct Controller {
    program: PathBuf,
    home: TempDir,
}

impl Controller {
    /// Makes an empty home for the controller at `program`.
    ///
    /// # Errors
    /// Where there is no temporary folder.
    pub fn new(program: impl Into<PathBuf>) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("agent-runner-controller-").tempdir()?;
        Ok(Self { program: program.into(), home })
    }

    /// The home, which is also the folder that the controller is run in.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file below the home; folders that are missing are made.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, relative: &str, text: &str) -> anyhow::Result<()> {
        let path = self.home().join(relative);
        let folder = path.parent().context("a file has a folder")?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        fs::write(&path, text).with_context(|| path.display().to_string())
    }

    /// Replaces a text in a file below the home.
    ///
    /// # Errors
    /// Where the text is not in the file: the test would not change what it means to.
    pub fn replace(&self, relative: &str, from: &str, to: &str) -> anyhow::Result<()> {
        let path = self.home().join(relative);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        anyhow::ensure!(text.contains(from), "{relative} does not hold {from:?}:\n{text}");
        self.write(relative, &text.replace(from, to))
    }

    /// Runs a verb to its end.
    ///
    /// # Errors
    /// Where it does not end in time; a failure of the verb is not an error.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        run(self.command().args(arguments), DEADLINE)
    }

    /// Starts a verb that goes on until it is told to end.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(&self, arguments: &[&str]) -> anyhow::Result<Running> {
        Running::start(self.command().args(arguments))
    }

    /// The program in its home, without arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.home())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("LANG", "C.UTF-8");
        command
    }
}
