//! What changed between two commits, in a few lines.

use super::{Git, GitError};

impl Git {
    /// Returns git's own summary of what changed from a commit to HEAD; empty when nothing did.
    ///
    /// # Errors
    /// When git cannot be run, fails or takes too long.
    pub fn diff_stat(&self, from: &str) -> Result<String, GitError> {
        let answer = self.query([
            "diff",
            "--stat=120",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            from,
            "HEAD",
            "--",
        ])?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}
