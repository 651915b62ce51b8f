//! Removing a project's units: not before the Loop has ended, because a unit without a file has systemd's own limits.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use super::mode::UnitState;
use super::status::running;
use super::stop::{STOP_WAIT, ServiceError, stop, stop_unit};
use super::systemctl::Manager;
use super::{Account, Project, detached};
use crate::store::file_error::FileError;

/// What `uninstall` says where only root can remove the units; the controller looks for it.
pub const OF_THE_SYSTEM: &str = "the units belong to the system";

/// What `uninstall` says of a project whose round has to end first; the controller looks for it.
pub const STILL_DRAINS: &str = "still drains its round";

/// What `uninstall` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uninstalled {
    /// The units that are gone.
    pub removed: Vec<PathBuf>,
    /// The Loop's unit, stopped and disabled, while its round drains. Without its file, a daemon-reload would give it
    /// systemd's 90 s and its `KillMode` instead of its own.
    pub draining: Option<PathBuf>,
}

/// Drains, disables and removes the account's units of a project; nothing installed is fine.
///
/// # Errors
/// When a unit cannot be stopped or removed.
pub fn uninstall(project: &Project) -> Result<Uninstalled, ServiceError> {
    let manager = Manager::user(&project.account);
    let unit = |name: String| Some(project.account.user_units().join(name)).filter(|path| path.exists());
    let mut done = Uninstalled::default();
    if let Some(monitor) = unit(project.monitor_unit()) {
        remove_monitor(project, &manager, monitor, &mut done)?;
    }
    detached::stop_monitor(project)?;
    stop(project)?;
    if let Some(serve) = unit(project.serve_unit()) {
        remove_serve(project, &manager, serve, &mut done)?;
    }
    told(&manager, done)
}

/// As root: drains, disables and removes units of the system.
///
/// # Errors
/// When a unit cannot be stopped or removed.
pub fn uninstall_system(project: &Project) -> Result<Uninstalled, ServiceError> {
    let manager = Manager::System;
    let mut done = Uninstalled::default();
    if let Some(monitor) = system_unit(&project.account, &project.monitor_unit()) {
        remove_monitor(project, &manager, monitor, &mut done)?;
    }
    if let Some(serve) = system_unit(&project.account, &project.serve_unit()) {
        let stopped = stop_unit(project, &manager, Instant::now() + STOP_WAIT);
        if runs(project, &manager) {
            stopped?;
        }
        remove_serve(project, &manager, serve, &mut done)?;
    }
    told(&manager, done)
}

/// Returns the system unit of a project, when there is one.
pub fn system_unit(account: &Account, unit: &str) -> Option<PathBuf> {
    Some(account.system_units().join(unit)).filter(|path| path.exists())
}

fn remove_monitor(
    project: &Project,
    manager: &Manager,
    path: PathBuf,
    done: &mut Uninstalled,
) -> Result<(), ServiceError> {
    let unit = project.monitor_unit();
    // A manager that does not answer runs nothing: the file goes all the same.
    let _ = manager.act("stop", &unit);
    disable(manager, &unit);
    remove(path, done)
}

/// Removes the Loop's unit, which was asked to stop, or leaves it to a round that drains.
fn remove_serve(
    project: &Project,
    manager: &Manager,
    path: PathBuf,
    done: &mut Uninstalled,
) -> Result<(), ServiceError> {
    disable(manager, &project.serve_unit());
    if runs(project, manager) {
        done.draining = Some(path);
        return Ok(());
    }
    remove(path, done)
}

/// Returns whether the Loop's unit has anything running; where its manager does not answer, whether a Loop runs.
fn runs(project: &Project, manager: &Manager) -> bool {
    match manager.show(&project.serve_unit()) {
        Ok(show) => show.state.is_some_and(UnitState::is_live),
        Err(_) => running(project).is_some(),
    }
}

fn disable(manager: &Manager, unit: &str) {
    // Disabling needs no running manager and removes the links; a unit that was never enabled is fine.
    let _ = manager.act("disable", unit);
}

fn remove(path: PathBuf, done: &mut Uninstalled) -> Result<(), ServiceError> {
    fs::remove_file(&path).map_err(FileError::of("removing", &path))?;
    done.removed.push(path);
    Ok(())
}

/// Has the manager forget the units that are gone.
fn told(manager: &Manager, done: Uninstalled) -> Result<Uninstalled, ServiceError> {
    if !done.removed.is_empty() {
        // Without a bus there is nobody to tell.
        let _ = manager.reload();
    }
    Ok(done)
}
