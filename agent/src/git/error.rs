//! How a git call fails.

use std::path::PathBuf;

/// A git call that did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// git could not be started.
    #[error("cannot run git {verb}")]
    Start {
        /// The subcommand.
        verb: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// git was ended for taking too long.
    #[error("git {verb} took longer than {limit_s} s and was ended")]
    TimedOut {
        /// The subcommand.
        verb: String,
        /// Its limit in seconds.
        limit_s: u64,
        /// The index lock the killed git left behind, which has been removed.
        lock_removed: Option<PathBuf>,
    },
    /// git said no.
    #[error("git {verb} failed: {reason}")]
    Failed {
        /// The subcommand.
        verb: String,
        /// What it printed, on one line, or its exit code.
        reason: String,
    },
}

impl GitError {
    /// Returns whether git ran out of time, which heals by itself.
    pub fn is_time_out(&self) -> bool {
        matches!(self, GitError::TimedOut { .. })
    }

    /// Returns the index lock that was removed after a time-out.
    pub fn removed_lock(&self) -> Option<&PathBuf> {
        match self {
            GitError::TimedOut { lock_removed, .. } => lock_removed.as_ref(),
            GitError::Start { .. } | GitError::Failed { .. } => None,
        }
    }
}
