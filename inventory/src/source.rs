//! Where a value stands: its line, its table, its file.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// A value and the line it stands on.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// The line in the inventory, from 1.
    pub line: usize,
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

impl<T: Clone> Sourced<T> {
    pub(crate) fn new(found: &Located<T>, origin: &Origin, path: &Path) -> Self {
        let source = Source { origin: origin.clone(), path: path.into(), line: found.line };
        Self { value: found.value.clone(), source }
    }
}

/// The place in the inventory that set a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Which table.
    pub origin: Origin,
    /// The inventory.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

/// A table that carries settings of hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `[hosts."NAME"]`.
    Host(String),
    /// `[groups.NAME]`.
    Group(String),
    /// `[defaults]`.
    Defaults,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Host(name) => write!(f, "hosts.{name:?}")?,
            Origin::Group(name) => write!(f, "group {name}")?,
            Origin::Defaults => f.write_str("defaults")?,
        }
        // The folder is the same for every setting; the name is what tells files apart.
        let file = self.path.file_name().map_or(self.path.as_os_str(), |name| name);
        write!(f, " ({}:{})", Path::new(file).display(), self.line)
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
