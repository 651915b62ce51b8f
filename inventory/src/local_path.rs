//! A path on the operator's machine, as the inventory names it.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Serialize, Serializer};

/// A local path as written, with the folder it is relative to: the one that holds the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPath {
    written: String,
    base: PathBuf,
}

/// A path begins with `~/` and no home folder is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} begins with \"~/\" and the home folder is not known")]
pub struct NoHome(pub String);

impl LocalPath {
    pub(crate) fn new(written: &str, base: &Path) -> Self {
        Self { written: written.into(), base: base.into() }
    }

    /// The path as it stands in the file.
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// The path to open: `~/` becomes `home`, a relative path starts at the inventory's folder.
    pub fn resolve(&self, home: Option<&Path>) -> Result<PathBuf, NoHome> {
        let rest = match self.written.strip_prefix('~') {
            Some("") => Some(""),
            Some(rest) => rest.strip_prefix('/'),
            None => None,
        };
        match (rest, home) {
            (Some(rest), Some(home)) => Ok(tidy(&home.join(rest.trim_start_matches('/')))),
            (Some(_), None) => Err(NoHome(self.written.clone())),
            (None, _) => Ok(tidy(&self.base.join(&self.written))),
        }
    }
}

/// Drops `.` components; `..` stays, because a symbolic link may stand before it.
fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Serialize for LocalPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_starts_at_the_inventory_or_at_home() {
        let resolve = |text: &str, base: &str| {
            LocalPath::new(text, base.as_ref()).resolve(Some("/home/me".as_ref())).unwrap()
        };
        assert_eq!(resolve("a/b.toml", "/fleet"), Path::new("/fleet/a/b.toml"));
        assert_eq!(resolve("./b.toml", "/fleet"), Path::new("/fleet/b.toml"));
        assert_eq!(resolve("/abs", "/fleet"), Path::new("/abs"));
        assert_eq!(resolve("~/x", "/fleet"), Path::new("/home/me/x"));
        assert_eq!(resolve("~", "/fleet"), Path::new("/home/me"));
        assert_eq!(resolve("~backup/x", "/fleet"), Path::new("/fleet/~backup/x"));
        assert_eq!(resolve("b.toml", ""), Path::new("b.toml"));
    }

    #[test]
    fn a_home_path_without_a_home_is_an_error() {
        assert!(LocalPath::new("~/x", "/fleet".as_ref()).resolve(None).is_err());
    }
}
