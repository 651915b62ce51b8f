//! The guard: a process of its own that puts an unconfirmed switch back in time, with no controller alive.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use thiserror::Error;

use super::facts::{World, manager};
use super::manifest::Scope;
use super::pending::{self, Pending};
use super::places::Places;
use super::{revert, services};
use crate::process::capture::{Capture, capture};
use crate::process::child::{Environment, ParentDeath, Spawn, Stdin, spawn};
use crate::process::identity::Identity;
use crate::process::stop::{Whose, signal_recorded};
use crate::process::{gone, wait};
use crate::service::Acting;
use crate::store::atomic;

/// How long a guard may take until it has signed in.
const SIGN_IN_WAIT: Duration = Duration::from_secs(15);

/// How often its signature is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The longest time it waits for one thing while there is another.
const TURN: Duration = Duration::from_secs(2);

/// A guard that did not come.
#[derive(Debug, Error)]
pub enum GuardError {
    /// A file of it.
    #[error("the guard's {path}")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be started.
    #[error("starting the guard")]
    Start(#[source] io::Error),
    /// It was started and did not sign in.
    #[error("the guard did not sign in within 15 s; {0} may say why")]
    Silent(String),
}

impl GuardError {
    pub(super) fn file(path: &Path, source: io::Error) -> GuardError {
        GuardError::File { path: path.display().to_string(), source }
    }
}

/// Starts the guard of a switch and waits until it has signed in. Under systemd it is a unit of its own, so that it
/// outlives the login session and the service it may have to stop.
pub(super) fn arm(world: &World, places: &Places, pending: &Pending) -> Result<(), GuardError> {
    dismiss(places);
    if !in_unit(world, pending) {
        detached(world, places, pending)?;
    }
    let deadline = Instant::now() + SIGN_IN_WAIT;
    while running(places).is_none() {
        if Instant::now() >= deadline {
            return Err(GuardError::Silent(places.guard_output().display().to_string()));
        }
        wait::wait_until(Instant::now() + LOOK_EVERY).map_err(GuardError::Start)?;
    }
    Ok(())
}

/// Ends the guard: its switch was decided.
pub(super) fn dismiss(places: &Places) {
    if let Some(guard) = running(places).filter(|guard| *guard != Identity::own()) {
        // Gone already is what we want.
        let _ = signal_recorded(guard, Whose::Anybody, Signal::SIGTERM);
    }
    let _ = fs::remove_file(places.guard());
    let _ = fs::remove_file(places.guard_output());
}

/// Returns the guard that has signed in, while it runs.
pub(super) fn running(places: &Places) -> Option<Identity> {
    let text = fs::read(places.guard()).ok()?;
    serde_json::from_slice::<Identity>(&text).ok().filter(Identity::is_running)
}

/// Is the guard of a switch: waits until it is decided, does what falls due meanwhile, and puts it back when its time
/// is over.
///
/// # Errors
/// When its files cannot be used.
pub fn guard(world: &World, id: &str) -> Result<(), GuardError> {
    let places = world.places(Scope::User);
    let sign = places.guard();
    atomic::replace_json(&sign, &Identity::own()).map_err(|error| GuardError::file(&sign, error))?;
    let read = || pending::read(&places).map_err(|error| GuardError::file(&places.pending(), error));
    while let Some(pending) = read()?.filter(|pending| pending.id == id) {
        wait_for_work(world, &pending).map_err(GuardError::Start)?;
        let _operation = revert::operation(&places)
            .map_err(|error| GuardError::file(&places.state().join("apply.lock"), error))?;
        let Some(mut pending) = read()?.filter(|pending| pending.id == id) else { break };
        if pending.deadline.left_s() <= 0.0 {
            revert::put_back(world, &pending, "nobody confirmed it in time");
            break;
        }
        if chores(world, &mut pending) {
            pending::write(&places, &pending).map_err(|error| GuardError::file(&places.pending(), error))?;
        }
    }
    // A newer guard has signed over ours.
    if running(&places).is_none_or(|guard| guard == Identity::own()) {
        dismiss(&places);
    }
    Ok(())
}

/// Does what falls due while a switch is undecided: starts what waited for the old Loop to go, interrupts rounds whose
/// time is over. Returns whether the record changed.
pub(super) fn chores(world: &World, pending: &mut Pending) -> bool {
    let owner = world.owner(pending.scope);
    let mut changed = false;
    for service in &mut pending.services {
        // A start that fails shows when the confirmation looks; the revert is armed.
        changed |= services::finish(service, owner, &pending.program).unwrap_or(false);
    }
    changed
}

fn wait_for_work(world: &World, pending: &Pending) -> io::Result<()> {
    let owner = world.owner(pending.scope);
    let cancels = pending.services.iter().filter_map(|service| service.cancel_at.as_ref());
    let left =
        cancels.chain([&pending.deadline]).map(|deadline| deadline.left_s()).fold(f64::INFINITY, f64::min);
    let deadline = Instant::now() + Duration::from_secs_f64(left.clamp(0.0, 86_400.0));
    let mut awaited = pending.services.iter().filter(|service| service.start_when_gone);
    match (awaited.next(), awaited.next()) {
        (None, _) => wait::wait_until(deadline),
        (Some(service), other) => {
            let Some(serve) = crate::service::running(&service.project(owner)) else { return Ok(()) };
            let turn = if other.is_some() { deadline.min(Instant::now() + TURN) } else { deadline };
            gone::wait(serve, turn).map(drop)
        }
    }
}

fn in_unit(world: &World, pending: &Pending) -> bool {
    let Some(manager) = manager(pending.scope, world.owner(pending.scope)) else { return false };
    let mut argv: Vec<OsString> = vec!["systemd-run".into()];
    if pending.scope == Scope::User {
        argv.push("--user".into());
    }
    argv.extend([
        "--collect".into(),
        "--quiet".into(),
        format!("--unit=agent-runner-guard-{}", pending.id).into(),
    ]);
    argv.push(format!("--setenv=HOME={}", world.acting.home.display()).into());
    if let Some(invoker) = world.invoker.as_ref().filter(|invoker| invoker.acting == Acting::RootFor) {
        argv.push(format!("--setenv=SUDO_USER={}", invoker.user).into());
    }
    argv.push("--".into());
    argv.extend(command(world, pending));
    let call = Capture {
        argv,
        cwd: "/".into(),
        env: manager.environment(),
        stdin: Stdin::Null,
        timeout: Duration::from_secs(10),
        output_limit: 4096,
    };
    capture(call).is_ok_and(|captured| captured.is_success())
}

fn detached(world: &World, places: &Places, pending: &Pending) -> Result<(), GuardError> {
    let path = places.guard_output();
    let output = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let output = output.map_err(|error| GuardError::file(&path, error))?;
    let child = Spawn {
        argv: command(world, pending),
        cwd: "/".into(),
        env: Environment::inherited(),
        stdin: Stdin::Null,
        output,
        parent_death: ParentDeath::Survive,
    };
    spawn(child).map(drop).map_err(GuardError::Start)
}

fn command(world: &World, pending: &Pending) -> Vec<OsString> {
    vec![world.program.clone().into(), "apply".into(), "--guard".into(), pending.id.clone().into()]
}
