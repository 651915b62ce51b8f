//! What a command line chooses.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Largest file that `@file:` reads, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// How the file of an `@file:` is read.
pub type FileReader = fn(&Path) -> io::Result<String>;

/// The hosts that are meant: every `limit` together, without every `exclude`.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Selections that are added up; none means all hosts.
    pub limit: Vec<String>,
    /// Selections that are taken away.
    pub exclude: Vec<String>,
    /// What `@failed` and `@unreached` mean.
    pub remembered: Remembered,
    /// How `@file:PATH` is read; relative paths start at the current folder.
    pub files: FileReader,
}

/// The hosts of the last run; `None` where there was none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The hosts that failed. Those that have left the inventory since are not selected.
    pub failed: Option<Vec<String>>,
    /// The hosts that were not reached. Those that have left the inventory since are not selected.
    pub unreached: Option<Vec<String>>,
}

impl Default for Selection {
    fn default() -> Self {
        Self { limit: Vec::new(), exclude: Vec::new(), remembered: Remembered::default(), files: read_file }
    }
}

impl Selection {
    /// A selection by patterns alone.
    pub fn limit<S: Into<String>>(patterns: impl IntoIterator<Item = S>) -> Self {
        Self { limit: patterns.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

fn read_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("the file has more than {MAX_BYTES} bytes"),
        ));
    }
    Ok(text)
}
