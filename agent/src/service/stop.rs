//! Stopping after the round: asked for, and waited for only a little, because a round may drain for long.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use thiserror::Error;

use super::mode::UnitState;
use super::status::{self, Look, Status, Unanswered, look, running, status};
use super::systemctl::{Manager, SystemctlError};
use super::{Mode, Project};
use crate::process::gone;
use crate::process::identity::Identity;
use crate::process::{stop as ladder, wait};
use crate::store::file_error::FileError;

/// How long a stop is waited for; after that the service drains and is still active.
pub const STOP_WAIT: Duration = Duration::from_secs(5);

/// How often systemd is asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// A service verb that did not do its work.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// systemd did not do it.
    #[error("the service manager refused")]
    Systemctl(#[from] SystemctlError),
    /// The process could not be signalled.
    #[error("signalling process {pid} of {project}")]
    Signal {
        /// The process.
        pid: i32,
        /// The project.
        project: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Waiting failed.
    #[error("waiting for the service of {project}")]
    Wait {
        /// The project.
        project: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The Loop did not come up.
    #[error("`serve` of {project} did not start: {reason}")]
    NotStarted {
        /// The project.
        project: String,
        /// The end of what it printed.
        reason: String,
    },
    /// A file of the service could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Who was asked to end a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nobody: it did not run.
    Nobody,
    /// Its manager, which from then on says of the unit that it ends.
    Manager,
    /// The Loop itself, by a signal. It ends after its round; the manager of its unit, which knows nothing of it, calls
    /// it active until then.
    Loop,
}

/// What came of a stop.
#[derive(Debug)]
pub struct Stopping {
    /// Who was asked.
    pub asked: Asked,
    /// What the service does now.
    pub status: Status,
    /// The manager that does not tell what its unit does.
    pub unanswered: Option<Unanswered>,
}

/// Asks the service to end after its round, waits up to 5 s, and returns what it does then: `active` means it still
/// drains. A service that does not run is left alone.
///
/// # Errors
/// When it could not be asked.
pub fn stop(project: &Project) -> Result<Stopping, ServiceError> {
    let before = status(project);
    let deadline = Instant::now() + STOP_WAIT;
    let asked = match status::manager(project, before.mode).filter(|_| before.active) {
        Some(manager) => stop_unit(project, &manager, deadline)?,
        None if before.active => stop_process(project, deadline)?,
        None => Asked::Nobody,
    };
    let Look { status, unanswered } = look(project);
    Ok(Stopping { asked, status, unanswered })
}

/// Asks a unit to end after its round and waits until it has, or the deadline.
pub(super) fn stop_unit(
    project: &Project,
    manager: &Manager,
    deadline: Instant,
) -> Result<Asked, ServiceError> {
    let mut asked = Asked::Manager;
    if let Err(refused) = manager.queue("stop", &project.serve_unit()) {
        let Some(serve) = own_loop(project, manager) else { return Err(refused.into()) };
        send(project, serve, Signal::SIGTERM)?;
        asked = Asked::Loop;
    }
    wait_for_unit(project, manager, deadline)?;
    Ok(asked)
}

fn stop_process(project: &Project, deadline: Instant) -> Result<Asked, ServiceError> {
    let Some(serve) = running(project) else { return Ok(Asked::Nobody) };
    send(project, serve, Signal::SIGTERM)?;
    wait_for_end(project, serve, deadline)?;
    Ok(Asked::Loop)
}

/// Returns the Loop to signal where the manager refuses: an ordinary user may not stop a unit of the system, but may
/// signal a Loop of their own, which ends with 0 after SIGTERM and so is not restarted.
pub(super) fn own_loop(project: &Project, manager: &Manager) -> Option<Identity> {
    running(project).filter(|_| *manager == Manager::System)
}

/// Waits until a unit has nothing running, or the deadline.
pub(super) fn wait_for_unit(
    project: &Project,
    manager: &Manager,
    deadline: Instant,
) -> Result<(), ServiceError> {
    let unit = project.serve_unit();
    while manager.show(&unit)?.state.is_some_and(UnitState::is_live) {
        let now = Instant::now();
        if now >= deadline {
            break;
        }
        wait::wait_until(deadline.min(now + ASK_EVERY)).map_err(|source| waiting(project, source))?;
    }
    Ok(())
}

/// Waits until a process is gone and returns whether it is.
pub(super) fn wait_for_end(project: &Project, of: Identity, deadline: Instant) -> Result<bool, ServiceError> {
    gone::wait(of, deadline).map_err(|source| waiting(project, source))
}

/// Signals a process that a file of the project names; one that is gone by now needs no signal, and one that is not the
/// account's gets none from root.
pub(crate) fn send(project: &Project, to: Identity, signal: Signal) -> Result<(), ServiceError> {
    ladder::signal_recorded(to, project.account.signals(), signal).map_err(|source| ServiceError::Signal {
        pid: to.pid,
        project: project.name.clone(),
        source,
    })
}

/// Returns whether the mode is one systemd is in charge of.
pub(super) fn is_unit(mode: Mode) -> bool {
    matches!(mode, Mode::SystemdUser | Mode::SystemdSystem)
}

fn waiting(project: &Project, source: io::Error) -> ServiceError {
    ServiceError::Wait { project: project.name.clone(), source }
}
