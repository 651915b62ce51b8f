//! The settings that OpenSSH's own client configuration gives a host.
//!
//! The rules are those of ssh_config(5): the first value wins, some lists grow, `Host` and `Match` open blocks,
//! `Include` takes in files. What cannot be decided from files alone is never dropped: it is returned as
//! [`Unsupported`] with keyword, file and line, so that the caller can ask `ssh -G` and hand its output to
//! [`SshConfig::from_ssh_g`].

mod condition;
mod error;
mod expand;
mod file;
mod include;
mod keywords;
mod line;
pub(crate) mod pattern;
mod resolve;
mod settings;
mod shown;
mod values;

pub use error::{SshConfigError, Unsupported, Why};
pub use file::SshConfig;
pub use keywords::{Treatment, keywords};
pub use pattern::matches as pattern_matches;
pub use resolve::{NotApplicable, Overrides, Resolved};
pub use settings::{Setting, SettingSource, Settings};
pub use shown::ShownSetting;
pub use values::{AddressFamily, AlgorithmChange, Algorithms, IdentityAgent, StrictHostKeyChecking};

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the surroundings know and the configuration refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// The home folder: `~` and `%d`.
    pub home: PathBuf,
    /// The name of the local user: `%u` and `Match localuser`.
    pub user: String,
    /// The number of the local user: `%i`.
    pub uid: u32,
    /// The name of this machine, with its domain if it has one: `%l`; its first label is `%L`.
    pub host_name: String,
    /// The environment: `${NAME}`.
    pub variables: BTreeMap<String, String>,
    /// The folder of the system's configuration, `/etc/ssh`.
    pub system_dir: PathBuf,
}

impl Local {
    /// A local user with the usual system folder, an empty environment and number 0.
    pub fn new(home: impl Into<PathBuf>, user: impl Into<String>) -> Self {
        Self {
            home: home.into(),
            user: user.into(),
            uid: 0,
            host_name: "localhost".into(),
            variables: BTreeMap::new(),
            system_dir: "/etc/ssh".into(),
        }
    }

    /// The files OpenSSH reads when no other is named, the stronger one first.
    pub fn standard_files(&self) -> [PathBuf; 2] {
        [self.home.join(".ssh/config"), self.system_dir.join("ssh_config")]
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
