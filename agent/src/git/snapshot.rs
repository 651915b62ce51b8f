//! What was dirty before a round, as a commit behind a private reference. Made with an index of its own: neither the
//! work tree nor the operator's index is touched.

use std::fs;
use std::path::Path;

use super::call::{Call, below, text};
use super::exclude::Scope;
use super::{Git, GitError};

/// Where the references live, below `refs/`.
const REFS: &str = "refs/agent-runner/before/";

/// How many are kept.
const KEPT: usize = 20;

/// Who made the commit, whatever the operator's configuration says or lacks.
const NAME: &str = "agent-runner";
const EMAIL: &str = "agent-runner@localhost";

/// Returns the reference of a round.
pub fn reference(round_num: i64) -> String {
    format!("{REFS}R{round_num}")
}

impl Git {
    /// Records the work tree in scope as a commit on top of HEAD behind [`reference`], and forgets all but the last 20.
    /// `index` is a scratch file. Returns the reference's name.
    ///
    /// # Errors
    /// When git cannot be run, fails or takes too long; the scratch file is gone all the same.
    pub fn record_before(&self, round_num: i64, scope: &Scope, index: &Path) -> Result<String, GitError> {
        let recorded = self.write_snapshot(round_num, scope, index);
        for scratch in [index.to_owned(), index.with_extension("lock")] {
            // Left over only when git could not make it.
            let _ = fs::remove_file(scratch);
        }
        recorded
    }

    /// Returns `path` relative to the top of the work tree, when it lies inside.
    pub fn relative(&self, path: &Path) -> Option<String> {
        let relative = below(&self.place()?.top, path)?;
        relative.to_str().map(str::to_owned)
    }

    /// Returns which of `paths` (relative to the top) have another content in commit `to` than in `from`; those that
    /// `to` lacks are left out.
    ///
    /// # Errors
    /// When there is no such commit, or git cannot be run, fails or takes too long.
    pub fn changed_between(&self, from: &str, to: &str, paths: &[String]) -> Result<Vec<String>, GitError> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let asked = ["diff", "--no-renames", "--name-only", "-z", "--diff-filter=d", from, to];
        let answer = self.run(Call::new(asked, self.limits().query).and(literal(paths)))?;
        let names = answer.split(|&byte| byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// Writes the files of a snapshot into the work tree; the index stays as it is.
    ///
    /// # Errors
    /// When git cannot be run, fails or takes too long.
    pub fn restore(&self, reference: &str, paths: &[String]) -> Result<(), GitError> {
        let source = format!("--source={reference}");
        let call = Call::new(["restore", "--worktree", &source], self.limits().query).and(literal(paths));
        self.run(call).map(|_| ())
    }

    fn write_snapshot(&self, round_num: i64, scope: &Scope, index: &Path) -> Result<String, GitError> {
        let limit = self.limits().stash;
        let scratch = |call: Call| call.with("GIT_INDEX_FILE", index);
        if let Some(place) = self.place() {
            // With the file times git knows already it has to read only what is dirty.
            let _ = fs::copy(place.git_dir.join("index"), index);
        }
        self.run(scratch(Call::new(["add", "--all"], limit).and(scope.arguments())))?;
        let tree = text(&self.run(scratch(Call::new(["write-tree"], limit)))?);
        let head = self.head(self.limits().query)?;
        let message = format!("dirty before R{round_num}");
        let mut call = Call::new(["commit-tree", "--no-gpg-sign", &tree, "-m", &message], limit);
        if let Some(head) = &head {
            call = call.and(["-p", head]);
        }
        for (name, value) in [
            ("GIT_AUTHOR_NAME", NAME),
            ("GIT_AUTHOR_EMAIL", EMAIL),
            ("GIT_COMMITTER_NAME", NAME),
            ("GIT_COMMITTER_EMAIL", EMAIL),
        ] {
            call = call.with(name, value);
        }
        let commit = text(&self.run(call)?);
        let reference = reference(round_num);
        self.query(["update-ref", &reference, &commit])?;
        self.forget_older()?;
        Ok(reference)
    }

    fn forget_older(&self) -> Result<(), GitError> {
        let answer = self.query(["for-each-ref", "--format=%(refname)", REFS])?;
        let answer = String::from_utf8_lossy(&answer);
        let number = |name: &&str| name.rsplit('R').next().and_then(|digits| digits.parse::<i64>().ok());
        let mut names: Vec<&str> = answer.lines().collect();
        names.sort_by_key(number);
        let stale = names.len().saturating_sub(KEPT);
        if stale == 0 {
            return Ok(());
        }
        let commands: String = names.iter().take(stale).map(|name| format!("delete {name}\n")).collect();
        let call = Call::new(["update-ref", "--stdin"], self.limits().query).reading(commands.into_bytes());
        self.run(call).map(|_| ())
    }
}

fn literal(paths: &[String]) -> impl Iterator<Item = String> {
    ["--".to_owned()].into_iter().chain(paths.iter().map(|path| format!(":(top,literal){path}")))
}
