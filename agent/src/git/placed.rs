//! Files that the operator places while a round runs: they join what was there before the round, so that the stash at
//! its end does not take them away.

use std::fs;
use std::path::Path;

use super::call::{Call, text};
use super::snapshot::reference;
use super::{Git, GitError};

impl Git {
    /// Records the present content of `paths` (relative to the top) as part of what was there before round `round_num`.
    /// `index` is a scratch file. Without any commit there is nothing to do.
    ///
    /// # Errors
    /// When git cannot be run, fails or takes too long; the scratch file is gone all the same.
    pub fn placed_during(&self, round_num: i64, paths: &[String], index: &Path) -> Result<(), GitError> {
        let limit = self.limits().query;
        let Some(head) = self.head(limit)? else { return Ok(()) };
        let reference = reference(round_num);
        let commit =
            |name: &str| self.query(["rev-parse", "--verify", "--quiet", name]).map(|answer| text(&answer));
        let base = commit(&reference).unwrap_or_else(|_| head.clone());
        let parent = commit(&format!("{reference}^")).unwrap_or(head);
        let made = self.with_files(&base, paths, index);
        for scratch in [index.to_owned(), index.with_extension("lock")] {
            // Left over only when git could not make it.
            let _ = fs::remove_file(scratch);
        }
        let message = format!("dirty before R{round_num}");
        let mut call =
            Call::new(["commit-tree", "--no-gpg-sign", &made?, "-p", &parent, "-m", &message], limit);
        for who in ["AUTHOR", "COMMITTER"] {
            call = call.with(&format!("GIT_{who}_NAME"), "agent-runner");
            call = call.with(&format!("GIT_{who}_EMAIL"), "agent-runner@localhost");
        }
        let commit = text(&self.run(call)?);
        self.query(["update-ref", &reference, &commit]).map(|_| ())
    }

    /// Returns the tree of `base` with the present content of some files.
    fn with_files(&self, base: &str, paths: &[String], index: &Path) -> Result<String, GitError> {
        let limit = self.limits().query;
        let scratch = |call: Call| call.with("GIT_INDEX_FILE", index);
        self.run(scratch(Call::new(["read-tree", base], limit)))?;
        let files = paths.iter().map(|path| format!(":(top,literal){path}"));
        self.run(scratch(Call::new(["add", "--force", "--"], limit).and(files)))?;
        Ok(text(&self.run(scratch(Call::new(["write-tree"], limit)))?))
    }
}
