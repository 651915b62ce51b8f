//! What a project's place on this host looks like before anything is compared: the work tree and what was placed there.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::manifest::Project;
use super::places::Places;
use super::{release, validate};
use crate::git::{Git, Limits};
use crate::process::child::Environment;
use crate::service::{Account, Acting};

/// The largest file of a project that is read, in bytes.
pub(super) const FILE_MAX: u64 = 16 << 20;

/// A project's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ground {
    /// The work tree, absolute, with links in its parents followed.
    pub(super) work_dir: PathBuf,
    /// What is there.
    pub(super) state: Place,
    /// The configuration that is there.
    pub(super) config: Option<String>,
    /// What the newest release placed.
    pub(super) placed: Option<Project>,
    /// Git's exclude file, when the work tree has one.
    pub(super) exclude: Option<Exclude>,
}

/// What is at the work tree's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing.
    Missing,
    /// A git work tree that can be written.
    Git,
    /// A folder that is none.
    NotGit,
    /// A folder that cannot be written.
    ReadOnly,
    /// A link.
    Link,
    /// Something else.
    NotAFolder,
    /// It cannot be looked at.
    Unreadable(String),
}

/// Git's exclude file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exclude {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) content: String,
    /// Which of the placed files git tracks.
    pub(super) tracked: BTreeSet<String>,
}

/// Looks at a project's place.
pub(super) fn survey(project: &Project, owner: &Account, places: &Places) -> Ground {
    let named = validate::absolute(&project.work_dir, &owner.home).unwrap_or_else(|| "/nonexistent".into());
    let work_dir = with_real_parent(&named);
    let state = place(&work_dir, owner);
    let exclude = if state == Place::Git { exclude(project, &work_dir) } else { None };
    Ground {
        config: read(&work_dir.join("agent-runner.toml")).ok().flatten().map(|bytes| lossy(&bytes)),
        placed: release::placed(places, &project.name),
        exclude,
        state,
        work_dir,
    }
}

/// Reads a file, `None` when there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > FILE_MAX {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 16 MiB"));
            }
            Ok(Some(bytes))
        }
    }
}

/// Returns git in a work tree that may be another account's: as root, it would refuse that.
pub(super) fn git(work_dir: &Path) -> Git {
    let env = Environment::inherited()
        .with("GIT_CONFIG_COUNT", "1")
        .with("GIT_CONFIG_KEY_0", "safe.directory")
        .with("GIT_CONFIG_VALUE_0", "*");
    Git::with_environment(work_dir, Limits::default(), env)
}

fn place(work_dir: &Path, owner: &Account) -> Place {
    let meta = match fs::symlink_metadata(work_dir) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Place::Missing,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Place::NotAFolder,
        Err(error) => return Place::Unreadable(error.to_string()),
    };
    if meta.is_symlink() {
        return Place::Link;
    }
    if !meta.is_dir() {
        return Place::NotAFolder;
    }
    if owner.acting == Acting::Itself && access(work_dir, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        return Place::ReadOnly;
    }
    if work_dir.join(".git").exists() { Place::Git } else { Place::NotGit }
}

fn exclude(project: &Project, work_dir: &Path) -> Option<Exclude> {
    let git = git(work_dir);
    let path = git.exclude_file().ok()?;
    let content = lossy(&read(&path).ok()?.unwrap_or_default());
    let paths: Vec<&str> = project.files.iter().map(|file| file.path.as_str()).collect();
    Some(Exclude { path, content, tracked: git.tracked(&paths).ok()? })
}

fn with_real_parent(path: &Path) -> PathBuf {
    let real = path.parent().and_then(|parent| parent.canonicalize().ok());
    match (real, path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        (Some(_) | None, _) => path.to_owned(),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
