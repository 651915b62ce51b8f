//! The switch: backups, the durable record and its guard first, then renames, then services. Whatever fails after the
//! record exists is put back; a crash leaves it to the guard.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;
use thiserror::Error;

use super::facts::{Facts, World, manager};
use super::guard::{self, GuardError};
use super::manifest::{Manifest, Scope};
use super::owner::with_rights_of;
use super::pending::{self, Deadline, Pending};
use super::places::Places;
use super::plan::{Plan, ServicePlan};
use super::report::What;
use super::{ground, midround, release, services, stage};
use crate::config::types::Config;
use crate::error::in_words;
use crate::git::GitError;
use crate::process::capture::{Capture, capture};
use crate::process::child::{Environment, Stdin};
use crate::round::options::Battery;
use crate::round::preflight::{SearchPath, battery};
use crate::service::ServiceError;
use crate::service::systemctl::SystemctlError;
use crate::store::file_error::FileError;
use crate::store::time;
use crate::version::Version;

/// How long a new binary may take to say its version.
const VERSION_CAP: Duration = Duration::from_secs(10);

/// A step that failed.
#[derive(Debug, Error)]
pub(super) enum SwitchError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The binary does not execute here.
    #[error("{path} does not execute here: {reason}")]
    Binary { path: String, reason: String },
    /// Nobody would put it back.
    #[error("the revert cannot be armed")]
    Guard(#[from] GuardError),
    /// No round could ever run with it.
    #[error("{project} could not run a round: {reason}")]
    Preflight { project: String, reason: String },
    /// The running round would stash the files away.
    #[error("the running round of {0} cannot be told of its new files")]
    Round(String, #[source] GitError),
    /// systemd refused.
    #[error("the service manager refused")]
    Systemctl(#[from] SystemctlError),
    /// A service did not do what it shall.
    #[error("the service of {0}")]
    Service(String, #[source] ServiceError),
    /// A test's fault.
    #[error("the fault `{0}` was asked for")]
    Fault(String),
}

/// How a switch ended.
pub(super) enum Switched {
    /// It waits for its confirmation.
    Pending(Box<Pending>),
    /// It failed before anything in use was touched.
    Untouched(SwitchError),
    /// It failed later; the record says how to put everything back.
    Half(Box<Pending>, SwitchError),
}

/// Everything a switch is made of.
pub(super) struct Input<'a> {
    pub(super) world: &'a World,
    pub(super) scope: Scope,
    pub(super) manifest: &'a Manifest,
    pub(super) plan: &'a Plan,
    pub(super) facts: &'a Facts,
}

/// Switches.
pub(super) fn switch(input: &Input<'_>) -> Switched {
    let places = input.world.places(input.scope);
    let mut pending = match prepare(input, &places) {
        Ok(pending) => pending,
        Err(error) => return Switched::Untouched(error),
    };
    match exchange(input, &places, &mut pending) {
        Ok(()) => Switched::Pending(Box::new(pending)),
        Err(error) => Switched::Half(Box::new(pending), error),
    }
}

fn prepare(input: &Input<'_>, places: &Places) -> Result<Pending, SwitchError> {
    if let Some(switch) = &input.plan.binary {
        let binary = places.binary(&switch.folder);
        stage::place_binary(switch, &input.world.program, places)
            .map_err(FileError::of("placing", &binary))?;
        executes(&binary, &binary)?;
    }
    step(input.world, "prepared")?;
    let now = Timestamp::now();
    let id = format!("{}-{}", time::file_stamp(now), std::process::id());
    let mut pending = Pending::of(id, input, places);
    pending.switched_at = time::stamp(now);
    pending.program = program(input, places);
    let armed = record(input, places, &mut pending).and_then(|()| {
        step(input.world, "recorded")?;
        Ok(guard::arm(input.world, places, &pending)?)
    });
    if armed.is_err() {
        // Nothing was switched: without its record the release never happened.
        let _ = pending::remove(places);
        for folder in &pending.releases {
            let _ = fs::remove_dir_all(folder);
        }
    }
    armed.map(|()| pending)
}

fn record(input: &Input<'_>, places: &Places, pending: &mut Pending) -> Result<(), SwitchError> {
    for project in &input.manifest.projects {
        let writes: Vec<_> = input.plan.writes.iter().filter(|write| write.project == project.name).collect();
        if writes.is_empty() && input.plan.binary.is_none() {
            continue;
        }
        let releases = places.releases(&project.name);
        let release = release::create(places, input.manifest, &project.name)
            .map_err(FileError::of("recording", &releases))?;
        for (number, write) in writes.into_iter().enumerate() {
            let undo =
                stage::back_up(write, number, &release).map_err(FileError::of("keeping", &write.path))?;
            pending.undo.push(undo);
        }
        pending.releases.push(release);
    }
    Ok(pending::write(places, pending).map_err(FileError::of("writing", &places.pending()))?)
}

fn exchange(input: &Input<'_>, places: &Places, pending: &mut Pending) -> Result<(), SwitchError> {
    let owner = input.world.owner(pending.scope);
    step(input.world, "armed")?;
    for write in &input.plan.writes {
        stage::stage(write, owner).map_err(FileError::of("staging", &write.path))?;
    }
    step(input.world, "staged")?;
    pending.begun = true;
    pending::write(places, pending).map_err(FileError::of("writing", &places.pending()))?;
    step(input.world, "begun")?;
    for write in &input.plan.writes {
        stage::switch(write, owner).map_err(FileError::of("switching", &write.path))?;
        step(input.world, "file")?;
    }
    for link in &input.plan.unlinks {
        stage::unlink(link, owner).map_err(FileError::of("removing", &link.path))?;
    }
    if let Some(switch) = &input.plan.binary {
        stage::switch_binary(switch, places).map_err(FileError::of("switching", places.bin()))?;
    }
    step(input.world, "switched")?;
    if input.plan.writes.iter().any(|write| write.what == What::Unit)
        && let Some(manager) = manager(pending.scope, owner)
    {
        manager.reload()?;
    }
    for plan in &input.plan.services {
        preflight(input, plan)?;
        let project = &plan.wanted.project;
        let own = input.plan.writes.iter().filter(|write| write.project == project.name);
        let written: Vec<_> = own.map(|write| write.path.clone()).collect();
        midround::tell_round(project, &written)
            .map_err(|error| SwitchError::Round(project.name.clone(), error))?;
    }
    step(input.world, "checked")?;
    let switch = pending.clone();
    for (plan, own) in input.plan.services.iter().zip(&mut pending.services) {
        services::bring(plan, own, &switch).map_err(|error| SwitchError::Service(own.name.clone(), error))?;
    }
    step(input.world, "services")?;
    for folder in &pending.releases {
        release::mark_applied(folder).map_err(FileError::of("recording", folder))?;
    }
    pending.deadline = Deadline::in_seconds(pending.confirm_s);
    Ok(pending::write(places, pending).map_err(FileError::of("writing", &places.pending()))?)
}

/// Runs the startup battery on the files as they now stand: what could never run a round is put back before anything is
/// started with it. The search path of a unit is systemd's business, so there a bare name of an agent CLI is left to the
/// Loop's own look.
fn preflight(input: &Input<'_>, plan: &ServicePlan) -> Result<(), SwitchError> {
    let project = &plan.wanted.project;
    let manifest = input.manifest.projects.iter().find(|own| own.name == project.name);
    let variable = |name: &str| manifest.and_then(|own| own.env.as_ref()?.get(name)).map(String::as_str);
    if Battery::from_skip_variable(variable("AGENT_RUNNER_SKIP_STARTUP_CHECK")) == Battery::Skip {
        return Ok(());
    }
    let refused = |reason: String| SwitchError::Preflight { project: project.name.clone(), reason };
    let load = || Config::load(&project.config, Some(&project.account.home));
    let loaded = with_rights_of(&project.account, load)
        .map_err(|error| refused(format!("config error: {}", in_words(&error))))?;
    let mut git = ground::git(&project.work_dir, &project.account);
    let path = match (variable("PATH"), plan.wanted.scope) {
        (Some(path), _) => SearchPath::Known(Some(OsStr::new(path))),
        (None, Scope::Detached) => SearchPath::Known(input.world.path.as_deref()),
        (None, Scope::User | Scope::System) => SearchPath::Unknown,
    };
    let failures = with_rights_of(&project.account, || battery(&loaded.config, &mut git, path));
    match failures.first() {
        None => Ok(()),
        Some(failure) => {
            Err(refused(format!("{}: {} (fix: {})", failure.check, failure.reason, failure.fix)))
        }
    }
}

/// Services are started by the deployed name, so that an upgrade is a rename; without one, by this program's.
fn program(input: &Input<'_>, places: &Places) -> std::path::PathBuf {
    super::facts::service_program(input.world, places, input.manifest)
}

/// Returns what a program says it is; `named` is what an error calls it.
pub(super) fn executes(binary: &Path, named: &Path) -> Result<Version, SwitchError> {
    let refused = |reason: String| SwitchError::Binary { path: named.display().to_string(), reason };
    let call = Capture {
        argv: vec![binary.into(), "--version".into(), "--json".into()],
        cwd: "/".into(),
        env: Environment::inherited(),
        stdin: Stdin::Null,
        timeout: VERSION_CAP,
        output_limit: 64 * 1024,
    };
    let captured = capture(call).map_err(|error| refused(in_words(&error)))?;
    if captured.timed_out {
        return Err(refused("it does not answer within 10 s".to_owned()));
    }
    let version: serde_json::Result<Version> = serde_json::from_slice(&captured.stdout);
    match version {
        Ok(version) if captured.is_success() && version.program == "agent-runner" => Ok(version),
        Ok(_) | Err(_) if captured.is_success() => Err(refused("it is no agent-runner".to_owned())),
        Ok(_) | Err(_) => Err(refused(format!("it ends with {}", captured.status.code()))),
    }
}

/// A place where a test may end this process or make the step fail.
pub(super) fn step(world: &World, name: &str) -> Result<(), SwitchError> {
    let Some((how, at)) = world.fail_at.as_deref().and_then(|fault| fault.split_once(':')) else {
        return Ok(());
    };
    if at != name {
        return Ok(());
    }
    if how == "stop" {
        // Whoever set it lets it go on, or pulls the plug meanwhile.
        let _ = kill(getpid(), Signal::SIGSTOP);
        return Ok(());
    }
    if how == "kill" {
        // As good as a power cut for this process.
        let _ = kill(getpid(), Signal::SIGKILL);
    }
    Err(SwitchError::Fault(name.to_owned()))
}
