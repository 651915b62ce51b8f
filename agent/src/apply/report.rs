//! The report: what `agent-runner apply` found and did. Both ends of the wire use this definition.

use serde::{Deserialize, Serialize};

/// The answer of `agent-runner apply` on stdout, one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The manifest version the answer is written for.
    pub report: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// The release id of a switch that waits for its confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// Everything that differs (check) or was changed (apply), in order.
    pub changes: Vec<Change>,
    /// What is wrong; not empty only when `outcome` is refused, failed or reverted.
    pub problems: Vec<Problem>,
    /// What a person should know without it being wrong, e.g. that linger is off.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The state of each project's service afterwards.
    #[serde(default)]
    pub services: Vec<ServiceState>,
    /// Who holds the host's lock, when that is why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<super::Owner>,
}

/// How an apply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The host is as the manifest says; nothing was written.
    Unchanged,
    /// `--check`: it differs.
    Drift,
    /// It was switched and waits for its confirmation.
    Switched,
    /// `--confirm`: not yet, ask again; `notes` says what for (a draining round, a starting service).
    Waiting,
    /// `--confirm`: the release is kept, the revert is off.
    Confirmed,
    /// The manifest cannot be applied here; nothing was changed.
    Refused,
    /// Something failed half-way and everything was put back.
    Reverted,
    /// Something failed and could not be put back; `problems` says what a person must do.
    Failed,
}

/// One difference between the host and the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The project, or `None` for the host as a whole.
    pub project: Option<String>,
    /// What kind of thing.
    pub what: What,
    /// Its path or name.
    pub name: String,
    /// What happens to it.
    pub action: Action,
    /// A unified diff, or `(secret, sha256 1a2b..)`; empty where there is nothing to show.
    #[serde(default)]
    pub diff: String,
}

/// What kind of thing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The agent binary.
    Binary,
    /// A file of a project.
    File,
    /// A project's environment.
    Env,
    /// A cloned repository.
    Repo,
    /// A systemd unit.
    Unit,
    /// The running service.
    Service,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is made.
    Create,
    /// Its content changes.
    Update,
    /// It is removed.
    Delete,
    /// The service starts.
    Start,
    /// The service hands over at the end of its round.
    HandOver,
    /// The service restarts.
    Restart,
}

impl Action {
    /// Returns the word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
            Action::Start => "start",
            Action::HandOver => "hand over",
            Action::Restart => "restart",
        }
    }
}

/// Something wrong, with its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The project, or `None` for the host as a whole.
    pub project: Option<String>,
    /// What is wrong and where.
    pub message: String,
    /// What a person can do; empty when nothing is known to help.
    pub remedy: String,
}

/// A project's service after an apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// The project.
    pub project: String,
    /// Whether it runs.
    pub active: bool,
    /// SHA-256 of the binary the running Loop executes, when it runs and can be read.
    #[serde(default)]
    pub sha256: Option<String>,
    /// The round in progress, when there is one.
    #[serde(default)]
    pub round_num: Option<i64>,
}
