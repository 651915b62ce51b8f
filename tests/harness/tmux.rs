//! A terminal of a test's own: a tmux server with one window, whose keys are pressed and whose screen is read.
#![expect(clippy::unwrap_used, reason = "a terminal that does not answer has failed the test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::run::run;
use crate::skip::Unavailable;
use crate::wait;

const DEADLINE: Duration = Duration::from_secs(30);

/// A window; dropped, its server and all that runs in it end.
#[derive(Debug)]
pub struct Tmux {
    folder: TempDir,
    home: PathBuf,
}

impl Tmux {
    /// Opens a window of this size with a shell in `home`, whose prompt is `ready$ `.
    ///
    /// # Errors
    /// [`Unavailable::Missing`] where there is no tmux.
    pub fn open(home: &Path, (columns, lines): (u16, u16)) -> Result<Tmux, Unavailable> {
        if Command::new("tmux").arg("-V").output().is_err() {
            return Err(Unavailable::missing("tmux is not installed"));
        }
        let folder =
            tempfile::Builder::new().prefix("agent-runner-tmux-").tempdir().map_err(anyhow::Error::from)?;
        let tmux = Tmux { folder, home: home.to_owned() };
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let shell = "exec env PS1='ready$ ' /bin/sh";
        tmux.ask(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &lines, shell])?;
        tmux.wait_for("ready$")?;
        Ok(tmux)
    }

    /// Presses keys, as tmux names them.
    ///
    /// # Panics
    /// Where tmux does not answer.
    pub fn press(&self, keys: &[&str]) {
        self.ask(&[&["send-keys"], keys].concat()).unwrap();
    }

    /// Types a command line and presses Enter.
    ///
    /// # Panics
    /// Where tmux does not answer.
    pub fn enter(&self, command: &str) {
        self.ask(&["send-keys", "-l", command]).unwrap();
        self.press(&["Enter"]);
    }

    /// Gives the window another size.
    ///
    /// # Panics
    /// Where tmux does not answer.
    pub fn resize(&self, (columns, lines): (u16, u16)) {
        self.ask(&["resize-window", "-x", &columns.to_string(), "-y", &lines.to_string()]).unwrap();
    }

    /// What is on the screen.
    ///
    /// # Panics
    /// Where tmux does not answer.
    #[must_use]
    pub fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"]).unwrap()
    }

    /// What tmux knows of the window: `#{alternate_on}`.
    ///
    /// # Panics
    /// Where tmux does not answer.
    #[must_use]
    pub fn says(&self, format: &str) -> String {
        self.ask(&["display-message", "-p", format]).unwrap().trim().to_owned()
    }

    /// Waits until the screen holds a text, and returns the screen.
    ///
    /// # Errors
    /// Where it does not in time, with the screen.
    pub fn wait_for(&self, text: &str) -> anyhow::Result<String> {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// Waits until the screen is as it is wanted, and returns it.
    ///
    /// # Errors
    /// Where it is not in time, with the screen.
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> anyhow::Result<String> {
        let found = wait::value(wait::DEADLINE, || Some(self.screen()).filter(|screen| wanted(screen)));
        found.ok_or_else(|| anyhow::anyhow!("the screen does not show {what:?}:\n{}", self.screen()))
    }

    fn ask(&self, words: &[&str]) -> anyhow::Result<String> {
        let socket = self.folder.path().join("socket");
        let mut command = Command::new("tmux");
        command
            .arg("-S")
            .arg(socket)
            .args(words)
            .current_dir(&self.home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color");
        run(&mut command, DEADLINE)?.checked()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // Where the server has ended by itself, there is nothing to end.
        let _ = self.ask(&["kill-server"]);
    }
}
