//! Keeping our own log dir out of what git stashes, adds and calls dirty.

use std::ffi::OsString;
use std::path::Path;

use super::call::{Call, below};
use super::{Git, GitError};

/// The pathspec of a whole work tree, less one folder when that is needed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    excluded: Option<OsString>,
}

impl Scope {
    /// Returns the pathspec arguments; none for the whole tree.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let Some(excluded) = &self.excluded else { return Vec::new() };
        let mut spec = OsString::from(":(top,exclude,literal)");
        spec.push(excluded);
        vec![OsString::from("--"), OsString::from(":/"), spec]
    }
}

impl Git {
    /// Returns the work tree less `log_dir`, when that lies inside it and is not ignored anyway.
    ///
    /// # Errors
    /// When git cannot tell whether it is ignored.
    pub fn scope_without(&self, log_dir: &Path) -> Result<Scope, GitError> {
        let Some(relative) = self.place().and_then(|place| below(&place.top, log_dir)) else {
            return Ok(Scope::default());
        };
        // A file inside, because a rule for the folder's content ignores no folder.
        let probe = log_dir.join("events.jsonl");
        let asked = Call::new(["check-ignore", "--quiet", "--"], self.limits().query).and([probe]);
        let is_ignored = self.answer(asked)? == 0;
        Ok(Scope { excluded: (!is_ignored).then(|| relative.into_os_string()) })
    }
}
