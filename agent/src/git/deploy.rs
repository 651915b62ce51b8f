//! What placing files in a work tree needs of git: which are tracked, where exclusions are written, and a clone.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Git, GitError};
use crate::process::capture::{Capture, capture};
use crate::process::child::{Environment, Stdin};

/// How long a clone may take.
pub const CLONE_CAP: Duration = Duration::from_secs(900);

/// How much of a clone's output is kept, in bytes.
const OUTPUT_MAX: usize = 64 * 1024;

/// A clone to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clone<'a> {
    /// What is cloned.
    pub url: &'a str,
    /// The branch; the remote's default when absent.
    pub branch: Option<&'a str>,
    /// Where to; must not exist.
    pub into: &'a Path,
    /// Goes before the command, e.g. to become another account.
    pub prefix: Vec<OsString>,
}

impl Git {
    /// Returns the file in which a work tree's own exclusions are written.
    ///
    /// # Errors
    /// When git refuses or takes too long.
    pub fn exclude_file(&self) -> Result<PathBuf, GitError> {
        let answer = self.query(["rev-parse", "--path-format=absolute", "--git-path", "info/exclude"])?;
        Ok(PathBuf::from(String::from_utf8_lossy(&answer).trim_end_matches('\n')))
    }

    /// Returns which of some paths, relative to the work dir, are tracked.
    ///
    /// # Errors
    /// When git refuses or takes too long.
    pub fn tracked(&self, paths: &[&str]) -> Result<BTreeSet<String>, GitError> {
        if paths.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut arguments = vec!["--literal-pathspecs", "ls-files", "-z", "--"];
        arguments.extend(paths);
        let answer = String::from_utf8_lossy(&self.query(arguments)?).into_owned();
        Ok(answer.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
    }
}

impl Clone<'_> {
    /// Clones.
    ///
    /// # Errors
    /// When git refuses or takes longer than 15 min.
    pub fn run(&self) -> Result<(), GitError> {
        let verb = || "clone".to_owned();
        let mut argv = self.prefix.clone();
        argv.extend(["git", "clone", "--quiet"].map(OsString::from));
        if let Some(branch) = self.branch {
            argv.extend(["--branch", branch].map(OsString::from));
        }
        argv.extend(["--".into(), OsString::from(self.url), self.into.into()]);
        let env = Environment::inherited()
            .without("GIT_DIR")
            .without("GIT_WORK_TREE")
            .with("GIT_TERMINAL_PROMPT", "0")
            .with("LC_ALL", "C");
        let call = Capture {
            argv,
            cwd: self.into.parent().unwrap_or(Path::new("/")).to_owned(),
            env,
            stdin: Stdin::Null,
            timeout: CLONE_CAP,
            output_limit: OUTPUT_MAX,
        };
        let captured = capture(call).map_err(|source| GitError::Start { verb: verb(), source })?;
        if captured.timed_out {
            return Err(GitError::TimedOut {
                verb: verb(),
                limit_s: CLONE_CAP.as_secs(),
                lock_removed: None,
            });
        }
        if captured.is_success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&captured.stderr);
        let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default();
        Err(GitError::Failed { verb: verb(), reason: last.join("; ") })
    }
}
