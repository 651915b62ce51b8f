//! Another program in this one's place, by hand on this host: a switch like a deploy's, with nothing in it but the
//! binary and the hand-over of one running Loop. It is confirmed, put back and guarded by the same code.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::unistd::{AccessFlags, access};
use thiserror::Error;

use super::candidate::{self, CandidateError};
use super::desired::Wanted;
use super::facts::{self, Facts, Link, World, running_sha256};
use super::manifest::{AgentRelease, By, Drain, Healthy, MANIFEST_VERSION, Manifest, Part, Scope};
use super::pending;
use super::places::Places;
use super::plan::{BinarySwitch, MonitorPlan, Plan, ServicePlan};
use super::report::Action;
use super::switch::{self, Input, Switched};
use super::{audit, guard, lock, revert, run, stage};
use crate::process::capture::{Capture, capture};
use crate::process::child::{Environment, Stdin};
use crate::process::tree::called_by;
use crate::service::{self, Mode, Project};
use crate::sha256;
use crate::store::file_error::FileError;
use crate::version::Version;

/// What is upgraded.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The new program, or a folder with one for this machine.
    pub from: &'a Path,
    /// This program, by the name that survives an upgrade.
    pub name: &'a Path,
    /// The project whose running Loop takes the new program over.
    pub project: Option<&'a Project>,
    /// Seconds until an unconfirmed switch is put back.
    pub confirm_s: u64,
}

/// A switch that waits for its confirmation.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Its id, for [`super::confirm`].
    pub id: String,
    /// This program.
    pub from: Version,
    /// The new one.
    pub to: Version,
    /// Whether a Loop takes it over.
    pub hands_over: bool,
    /// What is left for a person to do.
    pub notes: Vec<String>,
}

/// An upgrade that was refused, or put back at once.
#[derive(Debug, Error)]
pub enum UpgradeError {
    /// The new program is not the one.
    #[error("the new program cannot be used")]
    Candidate(#[from] CandidateError),
    /// It is what runs here.
    #[error("{} is the program that is here already ({version})", path.display())]
    Same {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// It does not run, or is something else.
    #[error("the new program does not work on this host")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It cannot read the project's configuration.
    #[error("the new program cannot use {}: {reason}", config.display())]
    Config {
        /// The configuration.
        config: PathBuf,
        /// What it said.
        reason: String,
    },
    /// No right to write there.
    #[error("{} cannot be written", .0.display())]
    ReadOnly(PathBuf),
    /// This is not the program that the account's services run.
    #[error("this program is {}, the one in use is {}", this.display(), in_use.display())]
    Elsewhere {
        /// What was called.
        this: PathBuf,
        /// What a deploy has placed.
        in_use: PathBuf,
    },
    /// Somebody else changes this host.
    #[error("{0}")]
    Busy(String),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// It failed after something was touched, and everything is back.
    #[error("the old program was put back: {0}")]
    PutBack(String),
    /// It failed and so did the way back.
    #[error("not everything could be put back: {0}")]
    Stuck(String),
}

/// Puts the new program in this one's place and signals the Loop. The caller confirms or reverts; if it dies, the guard
/// reverts.
///
/// # Errors
/// When the program is refused, or the switch fails; then the old program is in place unless the error says otherwise.
pub fn upgrade(world: &World, request: &Request<'_>) -> Result<Begun, UpgradeError> {
    let (world, scope) = seat(world, request)?;
    let places = world.places(scope);
    writable(&places)?;
    let _operation = revert::operation(&places).map_err(FileError::of("locking", places.state()))?;
    let pending = pending::read(&places).map_err(FileError::of("reading", &places.pending()))?;
    if let Some(pending) = pending {
        let left = pending.deadline.left_s().ceil();
        if left > 0.0 {
            return Err(UpgradeError::Busy(format!(
                "switch {} waits for its confirmation; unconfirmed it is put back in {left} s",
                pending.id
            )));
        }
        // Its guard should have: it is gone too.
        guard::dismiss(&places);
        let failures = revert::put_back(&world, &pending, "its time was over");
        if !failures.is_empty() {
            return Err(UpgradeError::Stuck(revert::in_one_line(&failures)));
        }
    }
    // A deploy's lock outlives processes, which an upgrade need not: while it is undecided there is its record.
    if let Some(holder) = lock::held(&places.deploy_lock(), Timestamp::now()) {
        return Err(UpgradeError::Busy(holder.to_string()));
    }
    let mut manifest = manifest(&world, request);
    locked(world, scope, request, &mut manifest)
}

fn locked(
    mut world: World,
    scope: Scope,
    request: &Request<'_>,
    manifest: &mut Manifest,
) -> Result<Begun, UpgradeError> {
    let places = world.places(scope);
    let staging = Staging::fill(&candidate::find(request.from)?, &places)?;
    let release = |version: &Version, sha256: &str| AgentRelease {
        machine: std::env::consts::ARCH.into(),
        version: version.version.clone(),
        sha256: sha256.to_owned(),
    };
    let (from, to) = (Version::own(), staging.verify(request)?);
    let own_sha256 = sha256::of_file(&world.program).map_err(FileError::of("reading", &world.program))?;
    if staging.sha256 == own_sha256 {
        return Err(UpgradeError::Same { path: request.from.to_owned(), version: to.version });
    }
    fault(&world, "verified")?;
    let (old, new) = (release(&from, &own_sha256), release(&to, &staging.sha256));
    if !is_linked(&world, manifest, &places) {
        stage::adopt(&places, &world.program, &old).map_err(FileError::of("placing", places.bin()))?;
        // Its file has another name now, and the old one will lead to the new program.
        world.program = places.binary(&old.folder());
    }
    fault(&world, "adopted")?;
    let folder = new.folder();
    staging.place(&places.binary(&folder))?;
    fault(&world, "placed")?;
    manifest.agents = vec![new.clone()];
    let mut notes = Vec::new();
    let service = request.project.and_then(|project| hand_over(project, &own_sha256, &mut notes, &places));
    let hands_over = service.is_some();
    let plan = Plan {
        binary: Some(BinarySwitch { folder, copy_self: false, sha256: new.sha256 }),
        services: service.into_iter().collect(),
        ..Plan::default()
    };
    let facts = Facts { binary: facts::binary(&world, manifest, &places), ..Facts::default() };
    let input = Input { world: &world, scope, manifest, plan: &plan, facts: &facts };
    match switch::switch(&input) {
        Switched::Untouched(error) => Err(UpgradeError::Broken(Box::new(error))),
        Switched::Half(pending, error) => {
            guard::dismiss(&places);
            let reason = run::problem(&error, "").message;
            let failures = revert::put_back(&world, &pending, &reason);
            Err(if failures.is_empty() {
                UpgradeError::PutBack(reason)
            } else {
                UpgradeError::Stuck(revert::in_one_line(&failures))
            })
        }
        Switched::Pending(pending) => {
            let entry = audit::Entry::now(&manifest.by, &pending.id, audit::Result::Switched);
            // A line that cannot be written does not undo a good switch.
            let _ = audit::append(&places, &entry);
            Ok(Begun { id: pending.id, from, to, hands_over, notes })
        }
    }
}

/// Returns the world in which this program has its name, and whose places hold it.
fn seat(world: &World, request: &Request<'_>) -> Result<(World, Scope), UpgradeError> {
    let mode = request.project.map_or(Mode::None, |project| service::status(project).mode);
    let system = world.places(Scope::System);
    let scope = match mode {
        _ if request.name == system.bin() => Scope::System,
        Mode::SystemdUser => Scope::User,
        Mode::SystemdSystem | Mode::PidFile | Mode::None => Scope::Detached,
    };
    let usual = world.places(scope).bin().to_owned();
    if request.name == usual {
        return Ok((world.clone(), scope));
    }
    if fs::symlink_metadata(&usual).is_ok() {
        return Err(UpgradeError::Elsewhere { this: request.name.to_owned(), in_use: usual });
    }
    Ok((World { called: Some(request.name.to_owned()), ..world.clone() }, scope))
}

fn writable(places: &Places) -> Result<(), UpgradeError> {
    if let Some(folder) = facts::read_only(places) {
        return Err(UpgradeError::ReadOnly(folder));
    }
    let folder = places.bin().parent().unwrap_or(Path::new("/"));
    match access(folder, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Ok(()),
        Err(_) => Err(UpgradeError::ReadOnly(folder.to_owned())),
    }
}

/// The manifest of a switch without projects: who asks, and how long the guard waits.
fn manifest(world: &World, request: &Request<'_>) -> Manifest {
    let machine = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    let machine = machine.unwrap_or_else(|_| "localhost".to_owned());
    let run = format!("upgrade-{}-{}", Timestamp::now().as_second(), std::process::id());
    Manifest {
        manifest: MANIFEST_VERSION,
        fleet: String::new(),
        host: machine.clone(),
        by: By { user: world.acting.user.clone(), machine, run, key: None },
        agents: Vec::new(),
        projects: Vec::new(),
        only: Part::All,
        downgrade: true,
        confirm_s: request.confirm_s,
        drain: Drain::Round,
        healthy: Healthy::Active,
    }
}

/// Returns whether this program's name leads through `current` already.
fn is_linked(world: &World, manifest: &Manifest, places: &Places) -> bool {
    let binary = facts::binary(world, manifest, places);
    binary.bin == Link::To(places.bin_target().to_owned())
        && fs::canonicalize(places.bin()).ok() == fs::canonicalize(&world.program).ok()
}

/// Returns what happens to a project's Loop: it takes over when it runs this very program by the name that is switched.
fn hand_over(
    project: &Project,
    own_sha256: &str,
    notes: &mut Vec<String>,
    places: &Places,
) -> Option<ServicePlan> {
    let serve = service::running(project)?;
    let called = called_by(serve.pid).unwrap_or_default();
    // A bare name was found on a search path, which only the Loop knows.
    let leads_here = called.components().count() == 1
        || fs::canonicalize(&called)
            .is_ok_and(|path| fs::canonicalize(places.bin()).is_ok_and(|own| own == path));
    if running_sha256(serve).as_deref() != Some(own_sha256) || !leads_here {
        let text = format!("the Loop of {} runs {} and goes on with it", project.name, called.display());
        notes.push(text);
        return None;
    }
    let scope = match service::status(project).mode {
        Mode::SystemdUser => Scope::User,
        Mode::SystemdSystem => Scope::System,
        Mode::PidFile | Mode::None => Scope::Detached,
    };
    let wanted = Wanted { project: project.clone(), scope, monitor: false };
    let before = facts::service_facts(&wanted);
    let monitor = if before.monitor_active { MonitorPlan::Restart } else { MonitorPlan::Leave };
    let wanted = Wanted { monitor: before.monitor_active, ..wanted };
    Some(ServicePlan { wanted, before, action: Some(Action::HandOver), enable: Vec::new(), monitor })
}

/// The new program beside the versions, until it is known to work here.
struct Staging {
    path: PathBuf,
    /// What it is a copy of: what a person knows it by.
    from: PathBuf,
    sha256: String,
}

impl Staging {
    fn fill(from: &Path, places: &Places) -> Result<Staging, UpgradeError> {
        let path = places.versions().join(".upgrade");
        stage::make_folder_of(&path).map_err(FileError::of("making", &places.versions()))?;
        // Always the same name: what an interrupted upgrade left is overwritten.
        stage::copy_program(from, &path).map_err(FileError::of("copying", from))?;
        let sha256 = sha256::of_file(&path).map_err(FileError::of("reading", &path))?;
        Ok(Staging { path, from: from.to_owned(), sha256 })
    }

    /// Runs it: what is it, and can it read the configuration it will be started with?
    fn verify(&self, request: &Request<'_>) -> Result<Version, UpgradeError> {
        let to = switch::executes(&self.path, &self.from)
            .map_err(|error| UpgradeError::Broken(Box::new(error)))?;
        let Some(project) = request.project else { return Ok(to) };
        let done = capture(Capture {
            argv: vec![
                self.path.clone().into(),
                "doctor".into(),
                "--config".into(),
                project.config.clone().into(),
            ],
            cwd: project.work_dir.clone(),
            env: Environment::inherited(),
            stdin: Stdin::Null,
            timeout: std::time::Duration::from_secs(60),
            output_limit: 64 * 1024,
        })
        .map_err(|error| UpgradeError::Broken(Box::new(error)))?;
        if done.timed_out || done.status.code() == i64::from(crate::error::Exit::Config.code()) {
            let said = String::from_utf8_lossy(&done.stderr);
            let reason = said.lines().next().unwrap_or("its doctor does not answer").to_owned();
            return Err(UpgradeError::Config { config: project.config.clone(), reason });
        }
        Ok(to)
    }

    fn place(&self, target: &Path) -> Result<(), UpgradeError> {
        stage::make_folder_of(target).map_err(FileError::of("making", target))?;
        Ok(fs::rename(&self.path, target).map_err(FileError::of("placing", target))?)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Renamed away, or refused.
        let _ = stage::remove_if_there(&self.path);
    }
}

fn fault(world: &World, step: &str) -> Result<(), UpgradeError> {
    switch::step(world, step).map_err(|error| UpgradeError::Broken(Box::new(error)))
}
