//! Who wins, and where it came from: host, then the last group of the file, then the defaults.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::host::{Located, ResolvedHost};
use crate::inventory::Inventory;

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

impl Inventory {
    /// A host with all its settings, or `None` if the inventory has no such host.
    pub fn host(&self, name: &str) -> Option<ResolvedHost> {
        let id = self.hosts.id(name)?;
        let groups: Vec<_> = self.groups_of(id).collect();
        let names = groups.iter().map(|group| group.name.clone()).collect();
        let mut host = ResolvedHost::new(self.hosts.name(id)?.clone(), names);
        if let Some(own) = self.hosts.settings(id) {
            host.fill(own, &Origin::Host(name.into()), &self.path);
        }
        for group in groups.iter().rev() {
            host.fill(&group.settings, &Origin::Group(group.name.clone()), &self.path);
        }
        host.fill(&self.defaults.settings, &Origin::Defaults, &self.path);
        Some(host)
    }
}
