//! One call of git, and where the repository is.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{GitError, head};
use crate::process::capture::{Capture, Captured, capture};
use crate::process::child::{Environment, Stdin};

/// Bytes kept of git's output.
const OUTPUT_MAX: usize = 32 << 20;

/// Characters kept of what git says when it fails.
const REASON_MAX: usize = 500;

/// How long the kinds of calls may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Looking: rev-parse, status, diff.
    pub query: Duration,
    /// Stashing and taking the snapshot before a round.
    pub stash: Duration,
    /// Committing, hooks included.
    pub commit: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            query: Duration::from_secs(10),
            stash: Duration::from_secs(30),
            commit: Duration::from_secs(120),
        }
    }
}

/// Where a work tree's repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The top of the work tree.
    pub top: PathBuf,
    /// The repository itself; for a linked work tree its own part of it.
    pub git_dir: PathBuf,
}

/// git in one work tree.
#[derive(Debug, Clone)]
pub struct Git {
    work_dir: PathBuf,
    limits: Limits,
    env: Environment,
    /// Goes before the command, e.g. to become another account.
    prefix: Vec<OsString>,
    place: Option<Place>,
}

impl Git {
    /// Returns git in a work dir, in our environment less what would point it to another repository.
    pub fn new(work_dir: impl Into<PathBuf>, limits: Limits) -> Git {
        Git::with_environment(work_dir, limits, Environment::inherited())
    }

    /// Returns git in a work dir with a given environment as the base.
    pub fn with_environment(work_dir: impl Into<PathBuf>, limits: Limits, base: Environment) -> Git {
        let env = base
            .without("GIT_DIR")
            .without("GIT_WORK_TREE")
            .without("GIT_INDEX_FILE")
            .without("GIT_PREFIX")
            .with("LC_ALL", "C")
            .with("GIT_TERMINAL_PROMPT", "0")
            .with("GIT_EDITOR", "true")
            .with("GIT_PAGER", "cat");
        Git { work_dir: work_dir.into(), limits, env, prefix: Vec::new(), place: None }
    }

    /// Puts words before each call, e.g. to become another account.
    pub fn behind(mut self, prefix: Vec<OsString>) -> Git {
        self.prefix = prefix;
        self
    }

    /// Finds the repository; `None` when the work dir is in no work tree. From then on git looks at this one only, so
    /// that a round whose agent removes it never touches a repository further up.
    ///
    /// # Errors
    /// When git cannot be run or takes too long.
    pub fn locate(&mut self) -> Result<Option<&Place>, GitError> {
        let asked = ["rev-parse", "--is-inside-work-tree", "--absolute-git-dir", "--show-toplevel"];
        let answer = match self.query(asked) {
            Ok(answer) => answer,
            Err(GitError::Failed { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut lines = answer.split(|&byte| byte == b'\n').map(<[u8]>::to_vec);
        let (inside, git_dir, top) = (lines.next(), lines.next(), lines.next());
        let (Some(b"true"), Some(git_dir), Some(top)) = (inside.as_deref(), git_dir, top) else {
            return Ok(None);
        };
        let path = |bytes: Vec<u8>| PathBuf::from(OsString::from_vec(bytes));
        let place = Place { top: path(top), git_dir: path(git_dir) };
        if let Some(above) = place.top.parent() {
            self.env = self.env.clone().with("GIT_CEILING_DIRECTORIES", above);
        }
        Ok(Some(self.place.insert(place)))
    }

    /// Returns where [`Git::locate`] found the repository.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Returns the commit that HEAD names; `None` without one.
    ///
    /// # Errors
    /// When git cannot be run or takes longer than `limit`.
    pub fn head(&self, limit: Duration) -> Result<Option<String>, GitError> {
        if let Some(commit) = self.place.as_ref().and_then(|place| head::plain(&place.git_dir)) {
            return Ok(Some(commit));
        }
        let call = Call::new(["rev-parse", "--verify", "--quiet", "HEAD"], limit);
        match self.run(call) {
            Ok(answer) => Ok(Some(text(&answer))),
            Err(GitError::Failed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Asks git something and returns what it printed.
    pub(super) fn query<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Vec<u8>, GitError> {
        self.run(Call::new(arguments, self.limits.query))
    }

    /// Runs a call and returns what it printed; anything but exit code 0 is an error.
    pub(super) fn run(&self, call: Call) -> Result<Vec<u8>, GitError> {
        let verb = call.verb();
        let done = self.start(call)?;
        if done.is_success() { Ok(done.stdout) } else { Err(refusal(verb, &done)) }
    }

    /// Runs a call whose exit code is its answer.
    pub(super) fn answer(&self, call: Call) -> Result<i64, GitError> {
        let verb = call.verb();
        let done = self.start(call)?;
        match done.status.code() {
            code @ (0 | 1) => Ok(code),
            _ => Err(refusal(verb, &done)),
        }
    }

    fn start(&self, call: Call) -> Result<Captured, GitError> {
        let verb = call.verb();
        // Nothing of ours may leave a daemon or a background collection behind.
        let quiet = ["git", "-c", "core.fsmonitor=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"];
        let words = quiet.iter().map(OsString::from).chain(call.arguments);
        let argv = self.prefix.iter().cloned().chain(words).collect();
        let mut env = self.env.clone();
        env.set.extend(call.env);
        let captured = capture(Capture {
            argv,
            cwd: self.work_dir.clone(),
            env,
            stdin: call.stdin,
            timeout: call.limit,
            output_limit: OUTPUT_MAX,
        })
        .map_err(|source| GitError::Start { verb: verb.clone(), source })?;
        if captured.timed_out {
            let lock_removed = self.remove_stale_lock();
            return Err(GitError::TimedOut { verb, limit_s: call.limit.as_secs(), lock_removed });
        }
        Ok(captured)
    }

    /// Removes the index lock of the git we have just killed: only then it is certain that nobody needs it.
    fn remove_stale_lock(&self) -> Option<PathBuf> {
        let lock = self.place.as_ref()?.git_dir.join("index.lock");
        fs::remove_file(&lock).ok().map(|()| lock)
    }
}

/// One call: arguments, limit, what it reads, what is added to its environment.
#[derive(Debug, Clone)]
pub(super) struct Call {
    arguments: Vec<OsString>,
    limit: Duration,
    stdin: Stdin,
    env: Vec<(OsString, OsString)>,
}

impl Call {
    pub(super) fn new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>, limit: Duration) -> Call {
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        Call { arguments, limit, stdin: Stdin::Null, env: Vec::new() }
    }

    pub(super) fn and<A: AsRef<OsStr>>(mut self, more: impl IntoIterator<Item = A>) -> Call {
        self.arguments.extend(more.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    pub(super) fn reading(mut self, bytes: Vec<u8>) -> Call {
        self.stdin = Stdin::Bytes(bytes);
        self
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<OsString>) -> Call {
        self.env.push((name.into(), value.into()));
        self
    }

    fn verb(&self) -> String {
        self.arguments.first().map(|verb| verb.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// Returns git's answer as one line of text.
pub(super) fn text(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).trim().to_owned()
}

fn refusal(verb: String, done: &Captured) -> GitError {
    let said = String::from_utf8_lossy(&done.stderr);
    let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let reason = if said.is_empty() { done.status.to_string() } else { said };
    GitError::Failed { verb, reason: reason.chars().take(REASON_MAX).collect() }
}

/// Returns `path` relative to `top`, both resolved as far as they exist; `None` when it is not below.
pub(super) fn below(top: &Path, path: &Path) -> Option<PathBuf> {
    let resolved = resolve(path);
    let relative = resolved.strip_prefix(resolve(top)).ok()?;
    (!relative.as_os_str().is_empty()).then(|| relative.to_owned())
}

/// Resolves the longest existing part of a path.
fn resolve(path: &Path) -> PathBuf {
    if let Ok(resolved) = fs::canonicalize(path) {
        return resolved;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolve(parent).join(name),
        _ => path.to_owned(),
    }
}
