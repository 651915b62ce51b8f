//! Back to the release before the one in use. The host kept it: nothing of it has to be sent again.

use super::facts::World;
use super::manifest::{AgentRelease, MANIFEST_VERSION, Manifest, Part, Rollback, Scope};
use super::places::Places;
use super::report::{Problem, Report};
use super::run::{self, Error};
use super::{newer, release, validate};
use crate::sha256;

/// Tells what a rollback would change. Writes nothing.
#[must_use]
pub fn check(world: &World, wanted: &Rollback) -> Report {
    match manifest(world, wanted) {
        Ok(Back { manifest, notes }) if manifest.projects.is_empty() => run::unchanged(notes),
        Ok(Back { manifest, notes }) => noted(run::check(world, &manifest), notes),
        Err(problems) => run::refused(problems),
    }
}

/// Goes back; it has to be confirmed like any other switch.
///
/// # Errors
/// When our own state cannot be read or locked.
pub fn rollback(world: &World, wanted: &Rollback) -> Result<Report, Error> {
    match manifest(world, wanted) {
        Ok(Back { manifest, notes }) if manifest.projects.is_empty() => Ok(run::unchanged(notes)),
        Ok(Back { manifest, notes }) => Ok(noted(run::apply(world, &manifest)?, notes)),
        Err(problems) => Ok(run::refused(problems)),
    }
}

/// What a rollback leads to.
struct Back {
    manifest: Manifest,
    notes: Vec<String>,
}

fn noted(report: Report, more: Vec<String>) -> Report {
    let notes = report.notes.into_iter().chain(more).collect();
    Report { notes, ..report }
}

/// Puts the previous releases of the projects together. Each names the agent it ran with; the newest of them is wanted,
/// if it is still here.
fn manifest(world: &World, wanted: &Rollback) -> Result<Back, Vec<Problem>> {
    // What was released is kept in one place, whatever the scope.
    let released = world.places(Scope::User);
    let mut problems = Vec::new();
    let mut manifest = Manifest {
        manifest: wanted.rollback,
        fleet: wanted.fleet.clone(),
        host: wanted.host.clone(),
        by: wanted.by.clone(),
        agents: Vec::new(),
        projects: Vec::new(),
        confirm_s: wanted.confirm_s,
        drain: wanted.drain,
        healthy: wanted.healthy,
        only: Part::All,
        downgrade: true,
    };
    if wanted.rollback != MANIFEST_VERSION {
        let message =
            format!("the request has version {}, this agent knows {MANIFEST_VERSION}", wanted.rollback);
        problems.push(Problem { project: None, message, remedy: String::new() });
    }
    let mut agents: Vec<AgentRelease> = Vec::new();
    let mut notes = Vec::new();
    for name in &wanted.projects {
        if let Some(run) = &wanted.run
            && release::newest_run(&released, name).as_ref() != Some(run)
        {
            notes.push(format!("{name} stays: its release in use did not come with run {run}"));
            continue;
        }
        match release::previous(&released, name) {
            None => problems.push(Problem {
                project: Some(name.clone()),
                message: "there is no release before the one in use".to_owned(),
                remedy: "name only projects that were deployed at least twice".to_owned(),
            }),
            Some(mut previous) => {
                // The work tree is there since its first deploy; an address that today's rules refuse is not needed again.
                previous.projects.iter_mut().for_each(|project| {
                    project.repo.take_if(|repo| validate::is_refused(&repo.url));
                });
                agents.extend(previous.agents);
                manifest.projects.extend(previous.projects);
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let scope = manifest.projects.first().map_or(Scope::User, |project| project.service.scope);
    let places = world.places(scope);
    let (here, gone): (Vec<AgentRelease>, Vec<AgentRelease>) = agents
        .into_iter()
        .filter(|agent| agent.machine == std::env::consts::ARCH)
        .partition(|agent| is_here(&places, agent));
    manifest
        .agents
        .extend(here.into_iter().max_by(|one, other| newer::compare(&one.version, &other.version)));
    if manifest.agents.is_empty() {
        let stays =
            |agent: AgentRelease| format!("the agent stays: its {} is no longer kept here", agent.version);
        notes.extend(gone.into_iter().next().map(stays));
    }
    Ok(Back { manifest, notes })
}

fn is_here(places: &Places, agent: &AgentRelease) -> bool {
    sha256::of_file(&places.binary(&agent.folder())).is_ok_and(|sha256| sha256 == agent.sha256)
}
