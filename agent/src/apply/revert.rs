//! Putting everything back. Idempotent: it may be killed and begun anew at any step.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::audit;
use super::facts::{World, manager};
use super::guard::{self, GuardError};
use super::pending::{self, Pending};
use super::places::Places;
use super::{lock, midround, services, stage};
use crate::error::in_words;
use crate::process::wait;
use crate::store::lock::Lock;

/// How long one operation waits for another one to end.
const OPERATION_WAIT: Duration = Duration::from_secs(60);

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What could not be put back.
#[derive(Debug)]
pub(super) struct Failure {
    /// The project, when its files are back and its service does not run as it did.
    pub(super) project: Option<String>,
    /// What and why.
    pub(super) text: String,
}

impl Failure {
    /// Returns the failure of something that is no service.
    pub(super) fn plain(text: String) -> Failure {
        Failure { project: None, text }
    }
}

/// Tells failures in one line.
pub(super) fn in_one_line(failures: &[Failure]) -> String {
    failures.iter().map(|failure| failure.text.as_str()).collect::<Vec<_>>().join("; ")
}

/// Makes sure that a switch which nobody has confirmed is put back in time although its guard is gone (it was killed,
/// or the host rebooted). For `serve`'s start. Returns the switch's id when a new guard had to be started; that one
/// puts it back at once if its time is over.
///
/// # Errors
/// When the record cannot be read or the guard not be started.
pub fn overdue(world: &World) -> Result<Option<String>, GuardError> {
    let places = world.places(super::manifest::Scope::User);
    let Some(pending) = pending::read(&places).map_err(|error| GuardError::file(&places.pending(), error))?
    else {
        return Ok(None);
    };
    if guard::running(&places).is_some() {
        return Ok(None);
    }
    let places = world.places(pending.scope);
    guard::arm(world, &places, &pending)?;
    Ok(Some(pending.id))
}

/// Puts everything back and returns what could not be. The caller holds the operation lock.
pub(super) fn put_back(world: &World, pending: &Pending, reason: &str) -> Vec<Failure> {
    let places = world.places(pending.scope);
    let owner = world.owner(pending.scope);
    let failures = if pending.begun { undo(world, pending) } else { Vec::new() };
    stage::sweep(pending, owner);
    for folder in &pending.releases {
        // What stays of it was never marked as applied, or holds the backups of a failed revert.
        if failures.is_empty() {
            let _ = fs::remove_dir_all(folder);
        }
    }
    let result = if failures.is_empty() { audit::Result::Reverted } else { audit::Result::Failed };
    finish(&places, pending, result, reason);
    // A Loop that was started meanwhile has seen the record without a guard and armed one.
    guard::dismiss(&places);
    failures
}

/// Undoes what was switched, files before services, and returns what could not be.
fn undo(world: &World, pending: &Pending) -> Vec<Failure> {
    let owner = world.owner(pending.scope);
    let mut failures = Vec::new();
    for service in &pending.services {
        services::disable(service, owner);
    }
    for undo in pending.undo.iter().rev() {
        if let Err(error) = stage::put_back(undo, owner) {
            failures.push(Failure::plain(format!(
                "{} is not as it was: {}",
                undo.path().display(),
                in_words(&error)
            )));
        }
    }
    let written: Vec<_> = pending.undo.iter().map(|undo| undo.path().clone()).collect();
    for service in &pending.services {
        // Not told, the round puts the new files back once more; the next apply finds that.
        let _ = midround::tell_round(&service.project(owner), &written);
    }
    if pending.has_units()
        && let Some(Err(error)) = manager(pending.scope, owner).map(|manager| manager.reload())
    {
        failures.push(Failure::plain(in_words(&error)));
    }
    for service in &pending.services {
        if let Err(error) = services::restore(service, owner, &pending.program) {
            let text = format!("the service of {}: {}", service.name, in_words(&error));
            failures.push(Failure { project: Some(service.name.clone()), text });
        }
    }
    failures
}

/// Ends a switch one way or the other: the record goes, the audit is written, the lock is given back.
pub(super) fn finish(places: &Places, pending: &Pending, result: audit::Result, detail: &str) {
    let entry = audit::Entry {
        fleet: pending.fleet.clone(),
        host: pending.host.clone(),
        projects: pending.services.iter().map(|service| service.name.clone()).collect(),
        detail: detail.to_owned(),
        ..audit::Entry::now(&pending.by, &pending.id, result)
    };
    // The audit first: who asks later finds the answer either in the record or in the audit. A disk that takes
    // neither has a detector of its own.
    let _ = audit::append(places, &entry);
    let _ = pending::remove(places);
    let _ = lock::release(&places.deploy_lock(), &pending.by.run);
}

/// Waits for other operations on this host to end and keeps new ones out until the result is dropped.
pub(super) fn operation(places: &Places) -> io::Result<Lock> {
    stage::make_state(places)?;
    let deadline = Instant::now() + OPERATION_WAIT;
    loop {
        if let Some(lock) = Lock::try_take(&places.operation_lock())? {
            return Ok(lock);
        }
        if Instant::now() >= deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "another apply has been running for a minute",
            ));
        }
        wait::wait_until(Instant::now() + LOOK_EVERY)?;
    }
}
