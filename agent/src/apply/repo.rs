//! Cloning a work tree that is missing.

use std::fs;
use std::io;
use std::path::Path;

use thiserror::Error;

use super::manifest::Repo;
use super::owner::with_rights_of;
use crate::git::GitError;
use crate::git::deploy::Clone;
use crate::service::Account;

/// A clone that was not made.
#[derive(Debug, Error)]
pub(super) enum RepoError {
    /// git refused.
    #[error("the clone")]
    Git(#[from] GitError),
    /// A folder could not be made or renamed.
    #[error("its folder")]
    Folder(#[from] io::Error),
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
    let clone =
        Clone { url: &repo.url, branch: repo.branch.as_deref(), into: &beside, prefix: owner.becoming() };
    let made = clone.run().map_err(RepoError::from);
    let renamed = made.and_then(|()| Ok(with_rights_of(owner, || fs::rename(&beside, work_dir))?));
    if renamed.is_err() {
        // The first error is the one that matters.
        let _ = with_rights_of(owner, || fs::remove_dir_all(&beside));
    }
    renamed
}
