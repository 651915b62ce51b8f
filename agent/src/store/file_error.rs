//! What went wrong with which file: the one error for every place that reads and writes named files.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file that could not be used.
#[derive(Debug, Error)]
#[error("{what} {}", path.display())]
pub struct FileError {
    /// What was tried, e.g. `writing`.
    what: &'static str,
    /// On which file.
    path: PathBuf,
    /// Why it failed.
    #[source]
    source: io::Error,
}

impl FileError {
    /// Returns what makes the error of an attempt, for `map_err`.
    pub fn of(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
        let path = path.to_owned();
        move |source| FileError { what, path, source }
    }
}
