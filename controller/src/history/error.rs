//! What can go wrong with the history.

use std::path::PathBuf;

/// A failure of the history; the message names the file.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The folder or the file cannot be made.
    #[error("history {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("history {}", path.display())]
    Sql {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer release has written it.
    #[error("history {} has version {found}, this release reads up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest known one.
        known: i64,
    },
}
