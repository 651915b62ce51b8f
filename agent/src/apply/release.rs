//! The releases of a project on this host: what was applied, and the files that it replaced.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::manifest::{AgentRelease, Manifest, Part, Project};
use super::newer;
use super::places::Places;
use crate::sha256;
use crate::store::atomic;

/// How many releases of a project are kept.
const KEPT: usize = 5;

/// Makes the folder of a project's next release, with the project's part of the manifest in it (0600: it holds
/// secrets), and returns it. What the manifest leaves as it is, is recorded as it is: the release is the whole of it.
pub(super) fn create(places: &Places, manifest: &Manifest, project: &str) -> io::Result<PathBuf> {
    let releases = places.releases(project);
    let number = numbers(&releases).last().copied().unwrap_or(0) + 1;
    let folder = releases.join(number.to_string());
    DirBuilder::new().recursive(true).mode(0o700).create(folder.join("replaced"))?;
    let projects = manifest.projects.iter().filter(|own| own.name == project).cloned().collect();
    let mut own = Manifest { projects, ..manifest.clone() };
    if own.agents.is_empty() {
        own.agents.extend(in_use(places));
    }
    if own.only == Part::Files {
        let whole = applied(places, project).find(|manifest| !is_incomplete(manifest));
        let before = match whole {
            Some(manifest) => manifest.projects.into_iter().next(),
            None => placed(places, project),
        };
        own.projects.iter_mut().for_each(|project| leave_environment(project, before.as_ref()));
    }
    atomic::replace_json(&folder.join("manifest.json"), &own)?;
    Ok(folder)
}

/// Marks a release as applied: from now on its files are the ones we placed.
pub(super) fn mark_applied(folder: &Path) -> io::Result<()> {
    atomic::replace(&folder.join("applied"), b"")
}

/// Returns what the newest applied release of a project placed.
pub(super) fn placed(places: &Places, project: &str) -> Option<Project> {
    applied(places, project).next()?.projects.into_iter().next()
}

/// Returns the run that the newest applied release of a project came with.
pub(super) fn newest_run(places: &Places, project: &str) -> Option<String> {
    Some(applied(places, project).next()?.by.run)
}

/// Returns the release before the one in use. What older agents recorded of files alone is completed by the release
/// before it, where that is still kept. Where the one in use brought files alone, its agent is nothing to take back.
pub(super) fn previous(places: &Places, project: &str) -> Option<Manifest> {
    let mut older = applied(places, project);
    let newest = older.next()?;
    let mut previous = older.next()?;
    if is_incomplete(&previous)
        && let Some(before) = older.find(|manifest| manifest.only == Part::All)
    {
        let of_before = before.projects.first();
        previous.projects.iter_mut().for_each(|project| leave_environment(project, of_before));
        previous.agents = before.agents;
    }
    if newest.only == Part::Files {
        previous.agents.clear();
    }
    Some(previous)
}

/// Whether an older agent recorded files alone: with an environment and units that were never applied, and no agent.
fn is_incomplete(manifest: &Manifest) -> bool {
    manifest.only == Part::Files && manifest.agents.is_empty()
}

/// Lets a project have the environment and the service that it had before.
fn leave_environment(project: &mut Project, before: Option<&Project>) {
    project.env = before.and_then(|before| before.env.clone());
    if let Some(before) = before {
        project.service = before.service.clone();
    }
}

/// Returns the agent that is in use.
fn in_use(places: &Places) -> Option<AgentRelease> {
    let current = fs::read_link(places.current()).ok()?;
    let folder = current.file_name()?.to_str()?;
    Some(AgentRelease {
        machine: std::env::consts::ARCH.to_owned(),
        version: newer::version(folder)?.to_owned(),
        sha256: sha256::of_file(&places.binary(folder)).ok()?,
    })
}

/// Returns the applied releases of a project, the newest first. Units by themselves are no release.
fn applied(places: &Places, project: &str) -> impl Iterator<Item = Manifest> + use<> {
    let releases = places.releases(project);
    let folders = numbers(&releases).into_iter().rev().map(move |number| releases.join(number.to_string()));
    let read = |folder: PathBuf| {
        let text = fs::read(folder.join("manifest.json")).ok()?;
        serde_json::from_slice::<Manifest>(&text).ok()
    };
    folders
        .filter(|folder| folder.join("applied").exists())
        .filter_map(read)
        .filter(|manifest| manifest.only != Part::Units)
}

/// Removes all but the newest releases of a project.
pub(super) fn prune(places: &Places, project: &str) -> io::Result<()> {
    let releases = places.releases(project);
    let numbers = numbers(&releases);
    for number in numbers.iter().rev().skip(KEPT) {
        fs::remove_dir_all(releases.join(number.to_string()))?;
    }
    Ok(())
}

/// Removes all version folders but the one in use and the one before it.
pub(super) fn prune_versions(places: &Places, previous: Option<&Path>) -> io::Result<()> {
    let name = |path: &Path| path.file_name().map(ToOwned::to_owned);
    let current = fs::read_link(places.current()).ok().as_deref().and_then(name);
    let previous = previous.and_then(name);
    let Ok(entries) = fs::read_dir(places.versions()) else { return Ok(()) };
    for entry in entries.flatten() {
        let own = Some(entry.file_name());
        if current.is_some() && own != current && own != previous && previous.is_some() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Returns the numbers of the releases there are, ascending.
fn numbers(releases: &Path) -> Vec<u64> {
    let entries = fs::read_dir(releases).into_iter().flatten().flatten();
    let mut numbers: Vec<u64> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}
