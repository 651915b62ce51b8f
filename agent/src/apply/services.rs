//! What a switch does to running services, and what putting back does.

use std::path::Path;
use std::time::Instant;

use nix::sys::signal::Signal;

use super::facts::manager;
use super::manifest::{Drain, Scope};
use super::pending::{Deadline, Pending, PendingService};
use super::plan::{MonitorPlan, ServicePlan};
use super::report::Action;
use crate::process::gone;
use crate::process::identity::Identity;
use crate::service::systemctl::Manager;
use crate::service::{self, Account, Mode, Project, STOP_WAIT, ServiceError, detached};

/// Brings one service to what the plan says, and records what somebody has to finish later.
pub(super) fn bring(
    plan: &ServicePlan,
    pending: &mut PendingService,
    switch: &Pending,
) -> Result<(), ServiceError> {
    let project = &plan.wanted.project;
    let manager = manager(plan.wanted.scope, &project.account);
    if let Some(manager) = &manager {
        for unit in &plan.enable {
            manager.act("enable", unit)?;
        }
    }
    match plan.action {
        None => {}
        Some(Action::HandOver) => signal_serve(project, Signal::SIGUSR2),
        Some(Action::Restart) => {
            pending.cancel_at = cancel_at(switch.drain);
            match &manager {
                Some(manager) if service_mode(plan.wanted.scope) == Some(pending.was_mode) => {
                    manager.queue("restart", &project.serve_unit())?;
                    if switch.drain == Drain::Now {
                        signal_serve(project, Signal::SIGUSR1);
                    }
                }
                Some(_) | None => stop_then_start(project, pending, switch)?,
            }
        }
        Some(Action::Start | Action::Create | Action::Update | Action::Delete) => {
            start(project, plan.wanted.scope, &switch.program)?;
        }
    }
    monitor(plan, &switch.program)
}

/// Starts a Loop that waited for the old one to go, and interrupts a round whose time is over. Returns whether the
/// record changed.
pub(super) fn finish(
    pending: &mut PendingService,
    account: &Account,
    program: &Path,
) -> Result<bool, ServiceError> {
    let project = pending.project(account);
    let mut changed = false;
    if pending.cancel_at.as_ref().is_some_and(|at| at.left_s() <= 0.0) {
        pending.cancel_at = None;
        changed = true;
        if let Some(was) = pending.was.filter(Identity::is_alive) {
            signal(&project, was, Signal::SIGUSR1);
        }
    }
    if pending.start_when_gone && service::running(&project).is_none() {
        start(&project, pending.scope, program)?;
        pending.start_when_gone = false;
        changed = true;
    }
    Ok(changed)
}

/// Brings one service back to what it was, after its files are back.
pub(super) fn restore(
    pending: &PendingService,
    account: &Account,
    program: &Path,
) -> Result<(), ServiceError> {
    let project = pending.project(account);
    let running = service::running(&project);
    restore_monitor(pending, &project, program)?;
    if !pending.was_active {
        if running.is_some() || service::status(&project).active {
            service::stop(&project)?;
        }
        return Ok(());
    }
    let scope = scope_of(pending.was_mode);
    match (running, pending.action) {
        // It was left alone.
        (Some(_), None) => Ok(()),
        (Some(_), Some(Action::HandOver)) => {
            signal_serve(&project, Signal::SIGUSR2);
            Ok(())
        }
        (Some(now), Some(Action::Restart)) if Some(now.pid) == pending.was.map(|was| was.pid) => {
            // The old Loop still drains: it goes as it was told, and starts again with the old files.
            match manager(scope, account) {
                Some(manager) => Ok(manager.queue("restart", &project.serve_unit())?),
                None => Ok(()),
            }
        }
        (
            Some(now),
            Some(Action::Restart | Action::Start | Action::Create | Action::Update | Action::Delete),
        ) => {
            match manager(scope, account) {
                Some(manager) => Ok(manager.queue("restart", &project.serve_unit())?),
                None => {
                    signal(&project, now, Signal::SIGTERM);
                    // Not gone in time means a round drains: then the old files wait for the next start.
                    if wait_gone(now) { start(&project, scope, program) } else { Ok(()) }
                }
            }
        }
        (None, _) => start(&project, scope, program),
    }
}

/// Disables units that the switch enabled; before their files go.
pub(super) fn disable(pending: &PendingService, account: &Account) {
    if let Some(manager) = manager(pending.scope, account) {
        for unit in &pending.enabled {
            // The links it would leave behind name a unit that is gone, which systemd ignores.
            let _ = manager.act("disable", unit);
        }
    }
}

/// Stops what systemd would run of a unit whose file is about to go.
pub(super) fn stop_unit(manager: &Manager, unit: &str) {
    // A unit that does not run is what we want.
    let _ = manager.queue("stop", unit);
}

fn stop_then_start(
    project: &Project,
    pending: &mut PendingService,
    switch: &Pending,
) -> Result<(), ServiceError> {
    let Some(serve) = service::running(project) else {
        return start(project, pending.scope, &switch.program);
    };
    if let Some(old) = manager(scope_of(pending.was_mode), &project.account) {
        stop_unit(&old, &project.serve_unit());
    }
    signal(project, serve, if switch.drain == Drain::Now { Signal::SIGUSR1 } else { Signal::SIGTERM });
    if wait_gone(serve) {
        return start(project, pending.scope, &switch.program);
    }
    pending.start_when_gone = true;
    Ok(())
}

fn start(project: &Project, scope: Scope, program: &Path) -> Result<(), ServiceError> {
    match manager(scope, &project.account) {
        Some(manager) => {
            let unit = project.serve_unit();
            manager.reset_failed(&unit);
            Ok(manager.act("start", &unit)?)
        }
        None => detached::start_serve(project, program).map(drop),
    }
}

fn monitor(plan: &ServicePlan, program: &Path) -> Result<(), ServiceError> {
    let project = &plan.wanted.project;
    let unit = project.monitor_unit();
    match (plan.monitor, manager(plan.wanted.scope, &project.account)) {
        (MonitorPlan::Leave, _) => Ok(()),
        (MonitorPlan::Start, Some(manager)) => {
            manager.reset_failed(&unit);
            Ok(manager.act("start", &unit)?)
        }
        (MonitorPlan::Restart, Some(manager)) => Ok(manager.queue("restart", &unit)?),
        (MonitorPlan::Stop, Some(manager)) => Ok(manager.queue("stop", &unit)?),
        (MonitorPlan::Start, None) => detached::start_monitor(project, program).map(drop),
        (MonitorPlan::Restart, None) => {
            detached::stop_monitor(project)?;
            detached::start_monitor(project, program).map(drop)
        }
        (MonitorPlan::Stop, None) => detached::stop_monitor(project),
    }
}

fn restore_monitor(pending: &PendingService, project: &Project, program: &Path) -> Result<(), ServiceError> {
    let unit = project.monitor_unit();
    match (pending.monitor_was_active, manager(pending.scope, &project.account)) {
        (true, Some(manager)) => Ok(manager.queue("restart", &unit)?),
        (false, Some(manager)) => {
            if pending.monitor_wanted {
                stop_unit(&manager, &unit);
            }
            Ok(())
        }
        (true, None) => {
            detached::stop_monitor(project)?;
            detached::start_monitor(project, program).map(drop)
        }
        (false, None) => detached::stop_monitor(project),
    }
}

fn cancel_at(drain: Drain) -> Option<Deadline> {
    match drain {
        Drain::Round | Drain::Now => None,
        Drain::Seconds(seconds) => Some(Deadline::in_seconds(seconds)),
    }
}

fn service_mode(scope: Scope) -> Option<Mode> {
    match scope {
        Scope::User => Some(Mode::SystemdUser),
        Scope::System => Some(Mode::SystemdSystem),
        Scope::Detached => None,
    }
}

fn scope_of(mode: Mode) -> Scope {
    match mode {
        Mode::SystemdUser => Scope::User,
        Mode::SystemdSystem => Scope::System,
        Mode::PidFile | Mode::None => Scope::Detached,
    }
}

fn signal_serve(project: &Project, with: Signal) {
    if let Some(serve) = service::running(project) {
        signal(project, serve, with);
    }
}

fn signal(project: &Project, to: Identity, with: Signal) {
    // It was alive a moment ago; one that is gone by now needs no signal.
    let _ = service::send(project, to, with);
}

fn wait_gone(of: Identity) -> bool {
    gone::wait(of, Instant::now() + STOP_WAIT).unwrap_or(false)
}
