//! Why a round did not come to its end, and what the process ends with.

use std::io;
use std::path::PathBuf;

use super::preflight::Failure;
use crate::config::ConfigError;
use crate::error::Exit;
use crate::git::GitError;

/// A round that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The configuration cannot be used.
    #[error("the configuration cannot be used")]
    Config(#[source] ConfigError),
    /// The phase asked for is not in the rotation.
    #[error("phase {phase} is not in phases.list ({known})")]
    UnknownPhase {
        /// What was asked for.
        phase: String,
        /// The rotation.
        known: String,
    },
    /// Checks of the startup battery failed.
    #[error("{} startup checks failed", .0.len())]
    Startup(Vec<Failure>),
    /// Another round runs.
    #[error("{0}")]
    Held(String),
    /// The lock cannot be taken for another reason than being held.
    #[error("cannot take {}", path.display())]
    Lock {
        /// The lock.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What a dead round left behind could not be ended, so no second agent may start.
    #[error("{count} processes of an earlier round do not end (first: pid {pid})")]
    Strays {
        /// How many.
        count: usize,
        /// One of them.
        pid: i32,
    },
    /// git ran out of time.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A prompt file vanished after the battery.
    #[error(transparent)]
    Prompt(#[from] super::prompt::PromptError),
    /// The agent cannot be started.
    #[error("cannot start {program}")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel refused something a supervisor cannot do without.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl RoundError {
    /// Returns what the process ends with.
    pub fn exit(&self) -> Exit {
        match self {
            RoundError::Config(_) | RoundError::UnknownPhase { .. } => Exit::Config,
            RoundError::Startup(failures) => super::preflight::exit_for(failures),
            RoundError::Held(_) | RoundError::Lock { .. } | RoundError::Strays { .. } => Exit::Environment,
            RoundError::Git(error) if error.is_time_out() => Exit::Environment,
            RoundError::Git(_)
            | RoundError::Prompt(_)
            | RoundError::Spawn { .. }
            | RoundError::System { .. } => Exit::Failed,
        }
    }

    /// Returns what the person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            RoundError::Config(error) => error.hint(),
            RoundError::Spawn { source, .. } if source.raw_os_error() == Some(libc::E2BIG) => Some(
                "the prompt is too long for an argument: set agent.prompt_delivery = \"stdin\"".to_owned(),
            ),
            RoundError::UnknownPhase { .. }
            | RoundError::Startup(_)
            | RoundError::Held(_)
            | RoundError::Lock { .. }
            | RoundError::Strays { .. }
            | RoundError::Git(_)
            | RoundError::Prompt(_)
            | RoundError::Spawn { .. }
            | RoundError::System { .. } => None,
        }
    }
}
