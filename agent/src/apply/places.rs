//! Where a host keeps the agent and what it knows about its deploys. Pure.

use std::path::{Path, PathBuf};

use super::manifest::Scope;
use crate::service::Account;

/// The folders of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    share: PathBuf,
    bin: PathBuf,
    bin_target: PathBuf,
    state: PathBuf,
}

impl Places {
    /// Returns the places of a scope, for the account that acts (root in system scope).
    pub fn of(acting: &Account, scope: Scope) -> Places {
        let state = acting.state();
        match scope {
            Scope::User | Scope::Detached => Places {
                share: acting.home.join(".local/share/agent-runner"),
                bin: acting.home.join(".local/bin/agent-runner"),
                bin_target: "../share/agent-runner/current/agent-runner".into(),
                state,
            },
            Scope::System => Places {
                share: "/usr/local/lib/agent-runner".into(),
                bin: "/usr/local/bin/agent-runner".into(),
                bin_target: "../lib/agent-runner/current/agent-runner".into(),
                state,
            },
        }
    }

    /// Returns the same places with the program under another name.
    #[must_use]
    pub fn called(self, bin: PathBuf) -> Places {
        Places { bin_target: self.current().join("agent-runner"), bin, ..self }
    }

    /// The folder of all versions.
    pub fn versions(&self) -> PathBuf {
        self.share.join("versions")
    }

    /// The link to the version in use.
    pub fn current(&self) -> PathBuf {
        self.share.join("current")
    }

    /// What [`Places::current`] says for a version folder.
    pub fn current_target(folder: &str) -> PathBuf {
        Path::new("versions").join(folder)
    }

    /// The binary of a version.
    pub fn binary(&self, folder: &str) -> PathBuf {
        self.versions().join(folder).join("agent-runner")
    }

    /// The name the program is called by; it survives every upgrade.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// What [`Places::bin`] says.
    pub fn bin_target(&self) -> &Path {
        &self.bin_target
    }

    /// The folder of everything below.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// A project's releases.
    pub fn releases(&self, project: &str) -> PathBuf {
        self.state.join(project).join("releases")
    }

    /// The switch that waits for its confirmation.
    pub fn pending(&self) -> PathBuf {
        self.state.join("pending.json")
    }

    /// The process that puts an unconfirmed switch back.
    pub fn guard(&self) -> PathBuf {
        self.state.join("guard.json")
    }

    /// What the guard prints, which is nothing unless it fails.
    pub fn guard_output(&self) -> PathBuf {
        self.state.join("guard.out")
    }

    /// The lock of a deploy, which outlives processes.
    pub fn deploy_lock(&self) -> PathBuf {
        self.state.join("deploy.lock")
    }

    /// The lock of one operation on this folder, which ends with its process.
    pub fn operation_lock(&self) -> PathBuf {
        self.state.join("apply.lock")
    }

    /// Who did what.
    pub fn audit(&self) -> PathBuf {
        self.state.join("audit.jsonl")
    }
}
