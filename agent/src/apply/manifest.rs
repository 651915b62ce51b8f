//! The manifest: everything a host shall have, in one document. Both ends of the wire use this definition.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the manifest's form.
pub const MANIFEST_VERSION: u32 = 1;

/// What a host shall have. Read from stdin by `agent-runner apply`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub manifest: u32,
    /// The fleet's name, for the audit.
    pub fleet: String,
    /// The host's name in the inventory, for messages.
    pub host: String,
    /// Who asks, for the audit.
    pub by: By,
    /// The agents the controller carries; the one for this machine is wanted.
    pub agents: Vec<AgentRelease>,
    /// The projects of this host, in the order they are applied.
    pub projects: Vec<Project>,
    /// Seconds until an unconfirmed switch is put back.
    pub confirm_s: u64,
    /// What happens to a round that runs when the switch comes.
    pub drain: Drain,
    /// When a switched release counts as well.
    #[serde(default)]
    pub healthy: Healthy,
    /// Which parts of the host it speaks about.
    #[serde(default, skip_serializing_if = "Part::is_all")]
    pub only: Part,
    /// Whether an agent older than the one in use is wanted all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub downgrade: bool,
}

/// Which parts of a host a manifest speaks about; the others stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All of it.
    #[default]
    All,
    /// Configurations and prompts: a Loop that runs takes them over, one that does not stays stopped.
    Files,
    /// Units: written, enabled and started.
    Units,
}

impl Part {
    /// Returns whether nothing is left out.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Part::All
    }
}

/// Asks for the release before the one in use. Read from stdin by `agent-runner apply --rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// [`MANIFEST_VERSION`].
    pub rollback: u32,
    /// The fleet's name, for the audit.
    pub fleet: String,
    /// The host's name in the inventory, for messages.
    pub host: String,
    /// Who asks, for the audit.
    pub by: By,
    /// The projects.
    pub projects: Vec<String>,
    /// Seconds until an unconfirmed switch is put back.
    pub confirm_s: u64,
    /// What happens to a round that runs when the switch comes.
    pub drain: Drain,
    /// When the older release counts as well.
    #[serde(default)]
    pub healthy: Healthy,
    /// Only the projects whose release in use came with this run; absent, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// Asks for the host's lock. Read from stdin by `agent-runner apply --lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// [`MANIFEST_VERSION`].
    pub hold: u32,
    /// Who asks.
    pub by: By,
    /// Seconds until the lock is nobody's.
    pub ttl_s: u64,
    /// Why, for whoever finds the host locked.
    pub reason: String,
}

/// When a switched release counts as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Healthy {
    /// The service runs it.
    #[default]
    Active,
    /// A round of it ended well.
    Round,
}

/// Who asks for a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct By {
    /// The user on the controller's machine.
    pub user: String,
    /// The controller's machine.
    pub machine: String,
    /// The run, unique per controller invocation.
    pub run: String,
    /// The fingerprint of the key it logged in with, `SHA256:..`; `None` without a key, and for a person on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// One agent binary that the controller carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentRelease {
    /// The machine it runs on, as `uname -m` says: `x86_64` or `aarch64`.
    pub machine: String,
    /// Its release.
    pub version: String,
    /// SHA-256 of the binary, 64 hex digits.
    pub sha256: String,
}

impl AgentRelease {
    /// Returns the name of its version folder, `<version>-<sha12>`.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.version, self.sha256.get(..12).unwrap_or(&self.sha256))
    }
}

/// What happens to a running round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Drain {
    /// It ends by itself; the Loop hands over after it.
    Round,
    /// It is ended gracefully at once.
    Now,
    /// It is ended gracefully after this many seconds.
    Seconds(u64),
}

/// One supervised project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its name: the base name of `work_dir` must equal it, as unit names and log dirs follow the folder.
    pub name: String,
    /// The work tree; `~/` is the home of the user it runs as.
    pub work_dir: String,
    /// Cloned into `work_dir` when that is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<Repo>,
    /// Files below `work_dir`: `agent-runner.toml`, prompts.
    pub files: Vec<File>,
    /// Folders below `work_dir` in which a file that an earlier manifest placed and this one does not is removed.
    #[serde(default)]
    pub mirrored: Vec<String>,
    /// The service's environment, placed outside the work tree (0600). Values are secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// How it runs.
    pub service: Service,
}

/// A repository to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repo {
    /// What `git clone` gets.
    pub url: String,
    /// The branch; the remote's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// One file with its whole content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Relative to `work_dir`; no `..`, no leading slash.
    pub path: String,
    /// The content.
    pub content: String,
    /// Whether it is shown only as a hash.
    #[serde(default)]
    pub secret: bool,
}

/// How a project runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Under what.
    pub scope: Scope,
    /// Whether the monitor runs beside it.
    pub monitor: bool,
}

/// Under what a project runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// A systemd user unit.
    User,
    /// A systemd system unit with `User=`.
    System,
    /// `serve` in its own session, for hosts without systemd.
    Detached,
}
