//! The four operations: check, apply, confirm, revert. Each answers with a report.

use std::io;

use jiff::Timestamp;
use thiserror::Error as ThisError;

use super::desired::{self, Context};
use super::facts::{self, Facts, World, observe, scope_of, service_program};
use super::ground::{self, Ground};
use super::lock::{self, Owner, Taken};
use super::manifest::{By, Manifest, Scope};
use super::pending::{self, Deadline, Pending};
use super::places::Places;
use super::plan::{self, Plan};
use super::report::{Outcome, Problem, Report, ServiceState, What};
use super::switch::{self, Input, Switched};
use super::verdict::{self, Verdict};
use super::{audit, guard, newer, release, repo, revert, stage, validate};
use crate::error::in_words;

/// Seconds a lock outlives the confirmation time: enough for a controller that lost its connection to come back.
const LOCK_SLACK_S: u64 = 600;

/// An operation that could not even answer.
#[derive(Debug, ThisError)]
pub enum Error {
    /// Our own state on this host.
    #[error("the state below {path}")]
    State {
        /// Where it is.
        path: String,
        /// What failed.
        #[source]
        source: io::Error,
    },
}

/// Tells what an apply would change. Writes nothing.
#[must_use]
pub fn check(world: &World, manifest: &Manifest) -> Report {
    let (manifest, kept) = newer::settled(world, manifest);
    let places = world.places(scope_of(&manifest));
    let held = lock::held(&places.deploy_lock(), Timestamp::now());
    let counts = |holder: &Owner| holder.run != manifest.by.run && !is_dead(&places, holder).unwrap_or(false);
    let report = checked(world, &manifest, kept);
    Report { held_by: held.filter(counts), ..report }
}

fn checked(world: &World, manifest: &Manifest, kept: Option<String>) -> Report {
    let mut view = match View::of(world, manifest) {
        Ok(view) => view,
        Err(problems) => return refused(problems),
    };
    view.plan.notes.extend(kept);
    if !view.plan.problems.is_empty() {
        return Report { changes: view.plan.changes, notes: view.plan.notes, ..refused(view.plan.problems) };
    }
    let outcome = if view.plan.is_empty() { Outcome::Unchanged } else { Outcome::Drift };
    Report { changes: view.plan.changes, notes: view.plan.notes, services: view.services, ..report(outcome) }
}

/// Brings the host to the manifest.
///
/// # Errors
/// When our own state cannot be read or locked.
pub fn apply(world: &World, manifest: &Manifest) -> Result<Report, Error> {
    let (manifest, kept) = newer::settled(world, manifest);
    let mut report = bring(world, &manifest)?;
    report.notes.extend(kept);
    Ok(report)
}

fn bring(world: &World, manifest: &Manifest) -> Result<Report, Error> {
    let view = match View::of(world, manifest) {
        Ok(view) => view,
        Err(problems) => return Ok(refused(problems)),
    };
    if !view.plan.problems.is_empty() {
        return Ok(Report { notes: view.plan.notes, ..refused(view.plan.problems) });
    }
    let places = world.places(scope_of(manifest));
    let pending = pending::read(&places).map_err(|source| state(&places, source))?;
    let same_run = |pending: &&Pending| pending.by.run == manifest.by.run && pending.deadline.left_s() > 0.0;
    if view.plan.is_empty() {
        match &pending {
            None => {
                let services = view.services;
                return Ok(Report { notes: view.plan.notes, services, ..report(Outcome::Unchanged) });
            }
            // The same run asks again because its connection broke: its switch is already there.
            Some(pending) if same_run(&pending) => return Ok(switched(view, pending.id.clone())),
            Some(_) => {}
        }
    }
    let _operation = revert::operation(&places).map_err(|source| state(&places, source))?;
    if let Some(held) = take(&places, manifest).map_err(|source| state(&places, source))? {
        return Ok(held);
    }
    let mut view = view;
    if let Some(pending) = pending::read(&places).map_err(|source| state(&places, source))? {
        guard::dismiss(&places);
        let failures = revert::put_back(world, &pending, "another apply came");
        if !failures.is_empty() {
            return Ok(failed(failures, "the switch before this one could not be put back"));
        }
        if let Some(held) = take(&places, manifest).map_err(|source| state(&places, source))? {
            return Ok(held);
        }
        view = match View::of(world, manifest) {
            Ok(view) => view,
            Err(problems) => return Ok(refused(problems)),
        };
    }
    let result = locked(world, manifest, view);
    if result.pending.is_none() {
        lock::release(&places.deploy_lock(), &manifest.by.run).map_err(|source| state(&places, source))?;
    }
    Ok(result)
}

/// Keeps a switch, if its services have arrived.
///
/// # Errors
/// When our own state cannot be read or locked.
pub fn confirm(world: &World, id: &str) -> Result<Report, Error> {
    decide(world, id, |places, mut pending| {
        if pending.deadline.left_s() <= 0.0 {
            guard::dismiss(places);
            return Ok(reverted(world, &pending, "its confirmation came too late"));
        }
        let mut changed = guard::chores(world, &mut pending);
        let owner = world.owner(pending.scope);
        let looked: Vec<_> = pending
            .services
            .iter()
            .map(|service| (service, verdict::look(&pending, service, owner)))
            .collect();
        let mut waiting = Vec::new();
        let mut notes = Vec::new();
        let mut drains = false;
        for (service, (verdict, _)) in &looked {
            match verdict {
                Verdict::Up => {}
                Verdict::Ended(reason) => notes.push(format!("{}: {reason}", service.name)),
                Verdict::Starting(reason) => waiting.push(format!("{}: {reason}", service.name)),
                Verdict::Draining(reason) => {
                    drains = true;
                    waiting.push(format!("{}: {reason}", service.name));
                }
                Verdict::Dead(reason) => {
                    guard::dismiss(places);
                    let reason = format!("the service of {}: {reason}", service.name);
                    return Ok(reverted(world, &pending, &reason));
                }
            }
        }
        let services: Vec<ServiceState> = looked.into_iter().map(|(_, (_, state))| state).collect();
        if waiting.is_empty() {
            keep(places, &pending);
            return Ok(Report { notes, services, ..report(Outcome::Confirmed) });
        }
        if drains {
            // The round may take long; as long as somebody asks, the switch is not put back.
            pending.deadline = Deadline::in_seconds(pending.confirm_s);
            changed = true;
            hold_on(places, &pending).map_err(|source| state(places, source))?;
        }
        if changed {
            pending::write(places, &pending).map_err(|source| state(places, source))?;
        }
        Ok(Report { pending: Some(pending.id), notes: waiting, services, ..report(Outcome::Waiting) })
    })
}

/// Puts a switch back.
///
/// # Errors
/// When our own state cannot be read or locked.
pub fn revert(world: &World, id: &str) -> Result<Report, Error> {
    decide(world, id, |places, pending| {
        guard::dismiss(places);
        Ok(reverted(world, &pending, "asked for"))
    })
}

/// What an operation sees.
struct View {
    facts: Facts,
    plan: Plan,
    services: Vec<ServiceState>,
}

impl View {
    fn of(world: &World, manifest: &Manifest) -> Result<View, Vec<Problem>> {
        let mut problems = validate::validate(manifest);
        let scope = scope_of(manifest);
        if scope == Scope::System && world.acting.uid != 0 {
            let message = "units of the system need root".to_owned();
            problems.push(Problem { project: None, message, remedy: "become root: `--become`".to_owned() });
        }
        let owner = world.owner(scope);
        let places = world.places(scope);
        if let Some(folder) = facts::read_only(&places) {
            let message = format!("{} cannot be written", folder.display());
            let remedy = format!(
                "ls -ld {} shows whose it is; a read-only file system has to be remounted",
                folder.display()
            );
            problems.push(Problem { project: None, message, remedy });
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let ground: Vec<Ground> =
            manifest.projects.iter().map(|project| ground::survey(project, owner, &places)).collect();
        let program = service_program(world, &places, manifest);
        let context = Context { owner, program: &program, only: manifest.only };
        let (desired, problems) = desired::desired(manifest, &ground, &context);
        let facts = observe(world, manifest, &desired);
        let mut plan = plan::plan(manifest, &ground, &desired, &facts);
        plan.problems.extend(problems);
        let services = services_of(&facts);
        Ok(View { facts, plan, services })
    }
}

fn services_of(facts: &Facts) -> Vec<ServiceState> {
    let state = |(name, facts): (&String, &facts::ServiceFacts)| ServiceState {
        project: name.clone(),
        active: facts.active,
        sha256: facts.sha256.clone(),
        round_num: facts.round_num,
    };
    facts.services.iter().map(state).collect()
}

/// Applies under the locks.
fn locked(world: &World, manifest: &Manifest, mut view: View) -> Report {
    let clones: Vec<_> =
        view.plan.changes.iter().filter(|change| change.what == What::Repo).cloned().collect();
    if !clones.is_empty() {
        let problems = clone_all(world, manifest, &view.plan);
        if !problems.is_empty() {
            return refused(problems);
        }
        view = match View::of(world, manifest) {
            Ok(view) => view,
            Err(problems) => return refused(problems),
        };
        view.plan.changes.splice(0..0, clones);
    }
    if !view.plan.problems.is_empty() {
        return refused(view.plan.problems);
    }
    if view.plan.is_empty() {
        return Report { services: view.services, ..report(Outcome::Unchanged) };
    }
    let input = Input { world, scope: scope_of(manifest), manifest, plan: &view.plan, facts: &view.facts };
    match switch::switch(&input) {
        Switched::Untouched(error) => refused(vec![problem(&error, "nothing was changed")]),
        Switched::Half(pending, error) => {
            guard::dismiss(&world.places(pending.scope));
            let cause = problem(&error, "");
            reverted(world, &pending, &cause.message)
        }
        Switched::Pending(pending) => {
            let entry = audit::Entry {
                fleet: manifest.fleet.clone(),
                host: manifest.host.clone(),
                projects: manifest.projects.iter().map(|project| project.name.clone()).collect(),
                ..audit::Entry::now(&manifest.by, &pending.id, audit::Result::Switched)
            };
            // A line that cannot be written does not undo a good switch.
            let _ = audit::append(&world.places(pending.scope), &entry);
            let owner = world.owner(pending.scope);
            view.services =
                pending.services.iter().map(|service| verdict::look(&pending, service, owner).1).collect();
            switched(view, pending.id)
        }
    }
}

fn clone_all(world: &World, manifest: &Manifest, plan: &Plan) -> Vec<Problem> {
    let owner = world.owner(scope_of(manifest));
    let mut problems = Vec::new();
    for project in manifest.projects.iter().filter(|project| plan.clones.contains(&project.name)) {
        let (Some(repo), Some(work_dir)) =
            (&project.repo, validate::absolute(&project.work_dir, &owner.home))
        else {
            continue;
        };
        if let Err(error) = repo::clone(repo, &work_dir, owner) {
            let mut own = problem(&error, "log in there and run the clone by hand");
            own.project = Some(project.name.clone());
            own.message = format!("cloning into {}: {}", work_dir.display(), own.message);
            problems.push(own);
        }
    }
    problems
}

/// Takes the deploy's lock; a report when somebody else has it.
fn take(places: &Places, manifest: &Manifest) -> io::Result<Option<Report>> {
    stage::make_state(places)?;
    let now = Timestamp::now();
    let owner = deploys(&manifest.by, now, manifest.confirm_s);
    let path = places.deploy_lock();
    let mut taken = lock::take(&path, &owner, now)?;
    if let Taken::Held(holder) = &taken
        && is_dead(places, holder)?
    {
        lock::break_open(&path)?;
        taken = lock::take(&path, &owner, now)?;
    }
    match taken {
        Taken::Ours => Ok(None),
        Taken::Held(holder) => {
            let remedy = holder.remedy(&manifest.host);
            let problem = Problem { project: None, message: holder.to_string(), remedy };
            Ok(Some(Report { held_by: Some(holder), ..refused(vec![problem]) }))
        }
    }
}

/// Lets the lock of a switch last anew while a controller waits for its rounds to end. Somebody who holds the host by
/// now, because nobody asked for too long, keeps it.
fn hold_on(places: &Places, pending: &Pending) -> io::Result<()> {
    let now = Timestamp::now();
    lock::take(&places.deploy_lock(), &deploys(&pending.by, now, pending.confirm_s), now).map(drop)
}

fn deploys(by: &By, now: Timestamp, confirm_s: u64) -> Owner {
    Owner::new(by, now, confirm_s.saturating_add(LOCK_SLACK_S))
}

/// Returns whether whoever took the lock died with it: no switch waits for a confirmation that may still come, and an
/// apply that is at work would have the operation lock, which the caller has or does without because it changes nothing.
pub(super) fn is_dead(places: &Places, holder: &Owner) -> io::Result<bool> {
    let waits = pending::read(places)?.is_some_and(|pending| pending.deadline.left_s() > 0.0);
    Ok(holder.reason.is_none() && !waits)
}

fn decide(
    world: &World,
    id: &str,
    decision: impl FnOnce(&Places, Pending) -> Result<Report, Error>,
) -> Result<Report, Error> {
    let places = world.places(Scope::User);
    let _operation = revert::operation(&places).map_err(|source| state(&places, source))?;
    let pending = pending::read(&places).map_err(|source| state(&places, source))?;
    match pending.filter(|pending| pending.id == id) {
        Some(pending) => {
            let places = world.places(pending.scope);
            decision(&places, pending)
        }
        None => Ok(decided(&places, id)),
    }
}

/// Answers for a switch that was decided before.
fn decided(places: &Places, id: &str) -> Report {
    let entry = audit::newest(places, id);
    match entry.as_ref().map(|entry| entry.result) {
        Some(audit::Result::Confirmed) => report(Outcome::Confirmed),
        Some(audit::Result::Reverted | audit::Result::Switched) => {
            let message = entry.map(|entry| entry.detail).unwrap_or_default();
            let problem = Problem { project: None, message, remedy: String::new() };
            Report { problems: vec![problem], ..report(Outcome::Reverted) }
        }
        Some(audit::Result::Failed | audit::Result::Locked | audit::Result::Unlocked) => {
            let message = entry.map(|entry| entry.detail).unwrap_or_default();
            failed(vec![revert::Failure::plain(message)], "see the host's audit")
        }
        None => {
            let message = format!("there is no switch `{id}` on this host");
            refused(vec![Problem { project: None, message, remedy: String::new() }])
        }
    }
}

fn keep(places: &Places, pending: &Pending) {
    guard::dismiss(places);
    revert::finish(places, pending, audit::Result::Confirmed, "");
    for service in &pending.services {
        // Old releases that stay cost disk and nothing else; the next confirmation tries again.
        let _ = release::prune(places, &service.name);
    }
    let _ = release::prune_versions(places, pending.previous_version.as_deref());
}

fn reverted(world: &World, pending: &Pending, reason: &str) -> Report {
    let failures = revert::put_back(world, pending, reason);
    if !failures.is_empty() {
        return failed(failures, "put these back by hand; the release's folder holds the old files");
    }
    let problem = Problem { project: None, message: reason.to_owned(), remedy: String::new() };
    Report { problems: vec![problem], ..report(Outcome::Reverted) }
}

fn switched(view: View, id: String) -> Report {
    let View { facts: _, plan, services } = view;
    Report {
        pending: Some(id),
        changes: plan.changes,
        notes: plan.notes,
        services,
        ..report(Outcome::Switched)
    }
}

pub(super) fn unchanged(notes: Vec<String>) -> Report {
    Report { notes, ..report(Outcome::Unchanged) }
}

pub(super) fn refused(problems: Vec<Problem>) -> Report {
    Report { problems, ..report(Outcome::Refused) }
}

fn failed(failures: Vec<revert::Failure>, remedy: &str) -> Report {
    let problem = |failure: revert::Failure| Problem {
        project: failure.project,
        message: failure.text,
        remedy: remedy.to_owned(),
    };
    Report { problems: failures.into_iter().map(problem).collect(), ..report(Outcome::Failed) }
}

fn report(outcome: Outcome) -> Report {
    Report {
        report: super::manifest::MANIFEST_VERSION,
        outcome,
        pending: None,
        changes: Vec::new(),
        problems: Vec::new(),
        notes: Vec::new(),
        services: Vec::new(),
        held_by: None,
    }
}

/// Tells an error with everything that caused it.
pub(super) fn problem(error: &dyn std::error::Error, remedy: &str) -> Problem {
    Problem { project: None, message: in_words(error), remedy: remedy.to_owned() }
}

pub(super) fn state(places: &Places, source: io::Error) -> Error {
    Error::State { path: places.state().display().to_string(), source }
}
