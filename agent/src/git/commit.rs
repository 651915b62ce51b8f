//! Committing what is dirty.

use super::call::{Call, text};
use super::exclude::Scope;
use super::{Git, GitError};

impl Git {
    /// Stages everything in scope.
    ///
    /// # Errors
    /// When git cannot be run, fails or takes too long.
    pub fn add_all(&self, scope: &Scope) -> Result<(), GitError> {
        let call = Call::new(["add", "--all"], self.limits().stash).and(scope.arguments());
        self.run(call).map(|_| ())
    }

    /// Returns whether anything is staged.
    ///
    /// # Errors
    /// When git cannot be run, fails or takes too long.
    pub fn has_staged(&self) -> Result<bool, GitError> {
        let call = Call::new(["diff", "--cached", "--quiet"], self.limits().query);
        Ok(self.answer(call)? == 1)
    }

    /// Commits what is staged, unsigned, hooks honoured, and returns the new HEAD.
    ///
    /// # Errors
    /// When git cannot be run, fails or takes too long.
    pub fn commit(&self, message: &str) -> Result<String, GitError> {
        let call = Call::new(["commit", "--quiet", "--no-gpg-sign", "-m"], self.limits().commit);
        self.run(call.and([message]))?;
        Ok(text(&self.query(["rev-parse", "HEAD"])?))
    }
    /// Stages exactly these paths and commits them, whatever else is staged; unsigned, hooks honoured.
    ///
    /// # Errors
    /// When git cannot be run, refuses (nothing new, a hook, no identity) or takes too long.
    pub fn commit_paths(&self, paths: &[&str], message: &str) -> Result<(), GitError> {
        self.run(Call::new(["add", "--"], self.limits().stash).and(paths))?;
        let call =
            Call::new(["commit", "--quiet", "--no-gpg-sign", "-m", message, "--"], self.limits().commit);
        self.run(call.and(paths)).map(|_| ())
    }
}
