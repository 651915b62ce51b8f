//! Starting and restarting.

use std::path::Path;
use std::time::Instant;

use nix::sys::signal::Signal;

use super::status::{self, Status, running, status};
use super::stop::{STOP_WAIT, ServiceError, is_unit, send, stop, wait_for_end};
use super::{Project, detached, kill};

/// How a restart treats the running round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// It ends by itself first.
    AfterRound,
    /// It is killed.
    Force,
}

/// Starts the service: its unit, or without one `serve` in a session of its own, by the name `program`. One that runs
/// already is left alone.
///
/// # Errors
/// When it does not come up.
pub fn start(project: &Project, program: &Path) -> Result<Status, ServiceError> {
    let before = status(project);
    if !before.active {
        match status::manager(project, before.mode) {
            Some(manager) => {
                let unit = project.serve_unit();
                manager.reset_failed(&unit);
                manager.act("start", &unit)?;
            }
            None => drop(detached::start_serve(project, program)?),
        }
    }
    Ok(status(project))
}

/// Restarts the service. A unit that still drains gets a queued start; a detached Loop is handed over: it executes the
/// program anew, under the same pid, when its round has ended.
///
/// # Errors
/// When a step is refused.
pub fn restart(project: &Project, program: &Path, how: Restart) -> Result<Status, ServiceError> {
    let before = status(project);
    match (how, status::manager(project, before.mode)) {
        (Restart::AfterRound, Some(manager)) => {
            if stop(project)?.status.active {
                manager.queue("start", &project.serve_unit())?;
                return Ok(status(project));
            }
        }
        (Restart::AfterRound, None) => {
            if let Some(serve) = running(project) {
                send(project, serve, Signal::SIGUSR2)?;
                return Ok(status(project));
            }
        }
        (Restart::Force, _) => {
            kill(project)?;
            if let Some(serve) = running(project) {
                wait_for_end(project, serve, Instant::now() + STOP_WAIT)?;
            }
        }
    }
    if is_unit(before.mode) {
        return start(project, program);
    }
    detached::start_serve(project, program)?;
    Ok(status(project))
}
