//! What git knows of a work tree, and cloning one that is missing.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::manifest::Repo;
use super::owner::with_rights_of;
use crate::process::capture::{Capture, Captured, capture};
use crate::process::child::{Environment, Stdin};
use crate::service::{Account, Acting};

/// How long a question to git may take.
const ASK_CAP: Duration = Duration::from_secs(10);

/// How long a clone may take.
const CLONE_CAP: Duration = Duration::from_secs(900);

/// How much of git's output is kept, in bytes.
const OUTPUT_MAX: usize = 1 << 20;

/// What git could not do.
#[derive(Debug, Error)]
pub(super) enum RepoError {
    /// It could not be run.
    #[error("running git")]
    Run(#[from] io::Error),
    /// It took too long.
    #[error("git took longer than {0} s")]
    TimedOut(u64),
    /// It failed.
    #[error("git failed: {0}")]
    Failed(String),
}

/// Returns the exclude file of a work tree.
pub(super) fn exclude_file(work_dir: &Path) -> Result<PathBuf, RepoError> {
    let text = ask(work_dir, &["rev-parse", "--path-format=absolute", "--git-path", "info/exclude"])?;
    Ok(PathBuf::from(text.trim_end_matches('\n')))
}

/// Returns which of some paths git tracks.
pub(super) fn tracked(work_dir: &Path, paths: &[&str]) -> Result<BTreeSet<String>, RepoError> {
    if paths.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut args = vec!["--literal-pathspecs", "ls-files", "-z", "--"];
    args.extend(paths);
    let text = ask(work_dir, &args)?;
    Ok(text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

/// Clones into a folder beside the target and renames it: a clone that breaks leaves no half work tree.
pub(super) fn clone(repo: &Repo, work_dir: &Path, owner: &Account) -> Result<(), RepoError> {
    let parent = work_dir.parent().unwrap_or(Path::new("/"));
    let name = work_dir.file_name().unwrap_or_default().to_string_lossy();
    let beside = parent.join(format!(".{name}.agent-runner-clone"));
    with_rights_of(owner, || {
        fs::create_dir_all(parent)?;
        if beside.exists() { fs::remove_dir_all(&beside) } else { Ok(()) }
    })?;
    let mut argv: Vec<OsString> = match owner.acting {
        Acting::Itself => vec!["git".into()],
        Acting::RootFor => ["runuser", "-u", &owner.user, "--", "git"].map(OsString::from).to_vec(),
    };
    argv.extend(["clone", "--quiet"].map(OsString::from));
    if let Some(branch) = &repo.branch {
        argv.extend(["--branch", branch].map(OsString::from));
    }
    argv.extend(["--".into(), OsString::from(&repo.url), beside.clone().into()]);
    let cloned = run(argv, parent, CLONE_CAP).and_then(text_of);
    let renamed =
        cloned.and_then(|_| with_rights_of(owner, || fs::rename(&beside, work_dir)).map_err(Into::into));
    if renamed.is_err() {
        // The first error is the one that matters.
        let _ = with_rights_of(owner, || fs::remove_dir_all(&beside));
    }
    renamed
}

fn ask(work_dir: &Path, args: &[&str]) -> Result<String, RepoError> {
    let argv = ["git", "-c", "safe.directory=*"].iter().chain(args).map(OsString::from).collect();
    run(argv, work_dir, ASK_CAP).and_then(text_of)
}

fn run(argv: Vec<OsString>, cwd: &Path, cap: Duration) -> Result<Captured, RepoError> {
    let env = Environment::inherited().with("GIT_TERMINAL_PROMPT", "0").with("LC_ALL", "C");
    let call = Capture {
        argv,
        cwd: cwd.to_owned(),
        env: env.with("GIT_OPTIONAL_LOCKS", "0"),
        stdin: Stdin::Null,
        timeout: cap,
        output_limit: OUTPUT_MAX,
    };
    let captured = capture(call)?;
    if captured.timed_out { Err(RepoError::TimedOut(cap.as_secs())) } else { Ok(captured) }
}

fn text_of(captured: Captured) -> Result<String, RepoError> {
    if captured.is_success() {
        return Ok(String::from_utf8_lossy(&captured.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&captured.stderr);
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default();
    Err(RepoError::Failed(last.join("; ")))
}
