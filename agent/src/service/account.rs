//! The account a project runs as, and where systemd and we keep things for it. Values only; the edge fills them in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::process::stop::Whose;

/// The account a project runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name, for `User=` and for messages.
    pub user: String,
    /// Its group's name, for `Group=`.
    pub group: String,
    /// Its user id.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// Its home folder.
    pub home: PathBuf,
    /// `$XDG_RUNTIME_DIR`, or `/run/user/<uid>` when that exists: over SSH nobody sets it.
    pub runtime_dir: Option<PathBuf>,
    /// Who we are while we act for it.
    pub acting: Acting,
}

/// Who this process is while it acts for an [`Account`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acting {
    /// The account itself.
    Itself,
    /// Root, for the account that called `sudo`.
    RootFor,
}

impl Account {
    /// Returns whose processes may be signalled because a file of this account names them.
    pub fn signals(&self) -> Whose {
        match self.acting {
            Acting::Itself => Whose::Anybody,
            Acting::RootFor => Whose::Of(self.uid),
        }
    }

    /// Returns the words before a command that make it run as this account; none where we are it already.
    pub fn becoming(&self) -> Vec<OsString> {
        match self.acting {
            Acting::Itself => Vec::new(),
            Acting::RootFor => {
                let mut home = OsString::from("HOME=");
                home.push(&self.home);
                let words = ["runuser", "-u", &self.user, "--", "env", "-u", "XDG_CONFIG_HOME"];
                words.map(OsString::from).into_iter().chain([home]).collect()
            }
        }
    }

    /// Where the account's user units are.
    pub fn user_units(&self) -> PathBuf {
        self.home.join(".config/systemd/user")
    }

    /// Where the system's units are.
    pub fn system_units(&self) -> &'static Path {
        Path::new("/etc/systemd/system")
    }

    /// The environment file of a project in user scope and without systemd (0600).
    pub fn env_file(&self, project: &str) -> PathBuf {
        self.home.join(".config/agent-runner").join(format!("{project}.env"))
    }

    /// The environment file of a project in system scope (0600, root's).
    pub fn system_env_file(&self, project: &str) -> PathBuf {
        Path::new("/etc/agent-runner").join(format!("{project}.env"))
    }

    /// Where we keep what we know about this account's projects.
    pub fn state(&self) -> PathBuf {
        self.home.join(".local/state/agent-runner")
    }
}
