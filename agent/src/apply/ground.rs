//! What a project's place on this host looks like before anything is compared: the work tree and what was placed there.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::manifest::Project;
use super::owner::with_rights_of;
use super::places::Places;
use super::{release, validate};
use crate::error::in_words;
use crate::git::{Git, Limits};
use crate::process::child::Environment;
use crate::service::{Account, Acting};
use crate::store::regular::{self, Link};

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
    let exclude = if state == Place::Git { exclude(project, (&work_dir, owner)) } else { None };
    Ground {
        config: with_rights_of(owner, || read(&work_dir.join("agent-runner.toml")).ok())
            .flatten()
            .map(|bytes| lossy(&bytes)),
        placed: release::placed(places, &project.name),
        exclude,
        state,
        work_dir,
    }
}

/// Reads a regular file, not through a link; `None` when there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match regular::open(path, Link::Refuse) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => regular::read_all(opened?, FILE_MAX).map(Some),
    }
}

/// Returns git in an account's work tree, run as that account: what its repository has git run gains nothing. The tree
/// may be owned by another one still, which git would refuse.
pub(super) fn git(work_dir: &Path, owner: &Account) -> Git {
    let env = Environment::inherited()
        .with("GIT_CONFIG_COUNT", "1")
        .with("GIT_CONFIG_KEY_0", "safe.directory")
        .with("GIT_CONFIG_VALUE_0", "*");
    Git::with_environment(work_dir, Limits::default(), env).behind(owner.becoming())
}

fn place(work_dir: &Path, owner: &Account) -> Place {
    let meta = match fs::symlink_metadata(work_dir) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Place::Missing,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Place::NotAFolder,
        Err(error) => return Place::Unreadable(in_words(&error)),
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

fn exclude(project: &Project, (work_dir, owner): (&Path, &Account)) -> Option<Exclude> {
    let git = git(work_dir, owner);
    let path = git.exclude_file().ok()?;
    let content = lossy(&with_rights_of(owner, || read(&path)).ok()?.unwrap_or_default());
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::store::atomic;
    use crate::store::regular::tests::with_a_pipe_at;

    #[test]
    fn neither_a_link_nor_a_pipe_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link, pipe) = (dir.path().join("file"), dir.path().join("link"), dir.path().join("pipe"));
        atomic::replace(&file, b"secret").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(read(&file).unwrap().as_deref(), Some(&b"secret"[..]));
        assert!(read(&link).is_err());
        let path = pipe.clone();
        assert_eq!(with_a_pipe_at(&pipe, move || read(&path).is_err()), Some(true));
        assert_eq!(read(&dir.path().join("missing")).unwrap(), None);
    }

    #[test]
    fn root_runs_git_as_the_account_whose_tree_it_is() {
        let account = |acting| Account {
            user: "pi".into(),
            group: "pi".into(),
            uid: 1000,
            gid: 1000,
            home: "/home/pi".into(),
            runtime_dir: None,
            acting,
        };
        assert!(account(Acting::Itself).becoming().is_empty());
        let words = account(Acting::RootFor).becoming();
        assert_eq!(
            words.join("\u{20}".as_ref()).to_string_lossy(),
            "runuser -u pi -- env -u XDG_CONFIG_HOME HOME=/home/pi"
        );
    }
}
