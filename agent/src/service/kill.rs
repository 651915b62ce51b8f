//! Ending the service now: the Loop first, so that it starts no other round, then the round with its strays.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::Project;
use super::status::{self, Status, running, status};
use super::stop::{STOP_WAIT, ServiceError, is_unit, own_loop, send, wait_for_end, wait_for_unit};
use super::systemctl::{Manager, SystemctlError};
use crate::process::identity::Identity;
use crate::process::{stop as ladder, tree};
use crate::store::holder;

/// How long a round gets to end its agent: the largest reap grace.
const ROUND_GRACE: Duration = Duration::from_secs(15);

/// Ends the service and its round: TERM, then KILL. A service that does not run is left alone.
///
/// # Errors
/// When a process could not be signalled, or a Loop whose unit only root can stop does not follow TERM.
pub fn kill(project: &Project) -> Result<Status, ServiceError> {
    let before = status(project);
    let refused = match status::manager(project, before.mode) {
        Some(manager) if before.active => kill_unit(project, &manager)?,
        Some(_) | None => None,
    };
    let by_signals = refused.is_some();
    // Also after systemd: a round that serve left behind, or one started by hand, counts as running.
    kill_processes(project, refused)?;
    if by_signals {
        wait_for_unit(project, &Manager::System, Instant::now() + STOP_WAIT)?;
    }
    let mut after = status(project);
    if !is_unit(before.mode) {
        after.mode = before.mode;
    }
    Ok(after)
}

/// Interrupts the running round as a person would with Ctrl-C; the Loop stops after it. A service that does not run is
/// left alone.
///
/// # Errors
/// When the Loop could not be signalled.
pub fn cancel(project: &Project) -> Result<Status, ServiceError> {
    if let Some(serve) = running(project) {
        send(project, serve, Signal::SIGUSR1)?;
        wait_for_end(project, serve, Instant::now() + STOP_WAIT)?;
    }
    Ok(status(project))
}

/// Ends a unit through its manager; what that one refused, where the Loop itself can be signalled instead.
fn kill_unit(project: &Project, manager: &Manager) -> Result<Option<SystemctlError>, ServiceError> {
    let unit = project.serve_unit();
    // Without the stop job, a killed unit with `Restart=on-failure` would come back.
    if let Err(refused) = manager.queue("stop", &unit) {
        return match own_loop(project, manager) {
            Some(_) => Ok(Some(refused)),
            None => Err(refused.into()),
        };
    }
    manager.signal(&unit, "SIGTERM")?;
    wait_for_unit(project, manager, Instant::now() + STOP_WAIT)?;
    if status(project).active {
        manager.signal(&unit, "SIGKILL")?;
        wait_for_unit(project, manager, Instant::now() + STOP_WAIT)?;
    }
    Ok(None)
}

/// Ends what serve.pid and the holder file name. A Loop that ends after TERM stays down also in a unit whose manager
/// `refused` to stop it; one that was killed would come back, so it is left alone then.
fn kill_processes(project: &Project, refused: Option<SystemctlError>) -> Result<(), ServiceError> {
    let serve = running(project);
    if let Some(serve) = serve {
        send(project, serve, Signal::SIGTERM)?;
    }
    if let Some(round) = running_round(project) {
        let recorded = tree::descendants(round.pid);
        send(project, round, Signal::SIGTERM)?;
        if !wait_for_end(project, round, Instant::now() + ROUND_GRACE)? {
            send(project, round, Signal::SIGKILL)?;
            wait_for_end(project, round, Instant::now() + STOP_WAIT)?;
        }
        ladder::kill_recorded(&recorded, round.pid);
    }
    if let Some(serve) = serve
        && !wait_for_end(project, serve, Instant::now() + STOP_WAIT)?
    {
        if let Some(refused) = refused {
            return Err(refused.into());
        }
        send(project, serve, Signal::SIGKILL)?;
        wait_for_end(project, serve, Instant::now() + STOP_WAIT)?;
    }
    Ok(())
}

/// Returns the round that holds the project's lock, when it is alive and its start time is on record.
pub(super) fn running_round(project: &Project) -> Option<Identity> {
    let identity = holder::read(&project.layout).usable()?.round();
    let ours = project.account.signals().owns(identity.pid);
    (ours && identity.create_time.is_some() && identity.is_alive()).then_some(identity)
}
