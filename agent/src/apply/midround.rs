//! Files that change while a round runs: the round is told, or it would stash them away at its end.

use std::path::PathBuf;

use super::ground;
use super::owner::with_rights_of;
use super::verdict::round_num;
use crate::git::GitError;
use crate::service::Project;

/// The scratch index, in the repository's own folder.
const INDEX: &str = "agent-runner-index.scratch";

/// Tells the round in progress of a project, if there is one, that these files are the operator's as they are now. Only
/// files that git tracks matter: the others are excluded. git runs as the account whose work tree it is, and its scratch
/// index is in the repository, where that account may write.
pub(super) fn tell_round(project: &Project, written: &[PathBuf]) -> Result<(), GitError> {
    let Some(round) = round_num(project) else { return Ok(()) };
    let mut git = ground::git(&project.work_dir, &project.account);
    let Some(index) = git.locate()?.map(|place| place.git_dir.join(INDEX)) else { return Ok(()) };
    let relative = |path: &PathBuf| path.strip_prefix(&project.work_dir).ok()?.to_str().map(str::to_owned);
    let paths: Vec<String> = written.iter().filter(|path| path.exists()).filter_map(relative).collect();
    let paths: Vec<&str> =
        paths.iter().map(String::as_str).filter(|path| !path.starts_with(".git/")).collect();
    let tracked = git.tracked(&paths)?;
    let from_top: Vec<String> =
        tracked.iter().filter_map(|path| git.relative(&project.work_dir.join(path))).collect();
    if from_top.is_empty() {
        return Ok(());
    }
    // The scratch index is removed with the account's rights, too.
    with_rights_of(&project.account, || git.placed_during(round, &from_top, &index))
}
