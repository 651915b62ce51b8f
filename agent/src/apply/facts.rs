//! What this host is like, read before anything is decided. Writes nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::desired::{Desired, Rights, Wanted};
use super::ground;
use super::manifest::{AgentRelease, Manifest, Scope};
use super::owner::with_rights;
use super::places::Places;
use super::report::What;
use super::verdict::round_num;
use crate::error::in_words;
use crate::process::identity::Identity;
use crate::process::program;
use crate::service::linger::{self, Linger};
use crate::service::systemctl::Manager;
use crate::service::{self, Account, Mode, detached};
use crate::sha256;

/// Where `WantedBy=` of our units puts the link.
const WANTS: [&str; 2] = ["default.target.wants", "multi-user.target.wants"];

/// Who applies, and for whom.
#[derive(Debug, Clone)]
pub struct World {
    /// The account of this process.
    pub acting: Account,
    /// The account that called sudo, when this process is root because of it.
    pub invoker: Option<Account>,
    /// This program, absolute.
    pub program: PathBuf,
    /// The name the program goes by, when that is not where a deploy puts it.
    pub called: Option<PathBuf>,
    /// The search path of commands, which detached services inherit.
    pub path: Option<OsString>,
    /// For tests: the step at which this process ends itself as a power cut would.
    pub fail_at: Option<String>,
}

impl World {
    /// Returns the account that projects of a scope run as.
    pub(super) fn owner(&self, scope: Scope) -> &Account {
        match scope {
            Scope::System => self.invoker.as_ref().unwrap_or(&self.acting),
            Scope::User | Scope::Detached => &self.acting,
        }
    }

    /// Returns the places of a scope.
    pub(super) fn places(&self, scope: Scope) -> Places {
        let places = Places::of(&self.acting, scope);
        match &self.called {
            Some(name) => places.called(name.clone()),
            None => places,
        }
    }
}

/// Returns the scope a manifest's host-wide things belong to.
pub(super) fn scope_of(manifest: &Manifest) -> Scope {
    manifest.projects.first().map_or(Scope::User, |project| project.service.scope)
}

/// What this host is like.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) binary: Binary,
    pub(super) entries: BTreeMap<PathBuf, Entry>,
    /// The links by which systemd starts units that shall go, by the unit's path: where each is and what it says.
    pub(super) enabling: BTreeMap<PathBuf, (PathBuf, PathBuf)>,
    pub(super) services: BTreeMap<String, ServiceFacts>,
    /// Why the manager that is wanted does not answer.
    pub(super) no_manager: Option<String>,
    /// The command that switches lingering on, when it is off and matters.
    pub(super) linger_remedy: Option<String>,
}

/// The agent's binary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Binary {
    /// What is wanted for this machine; `None` when the manifest brings no agents.
    pub(super) wanted: Option<AgentRelease>,
    /// Which machines it brings agents for.
    pub(super) offered: Vec<String>,
    /// SHA-256 of the file in the wanted version's folder.
    pub(super) there: Option<String>,
    /// SHA-256 of this program, when the folder lacks it.
    pub(super) own: Option<String>,
    /// What `current` says.
    pub(super) current: Option<PathBuf>,
    /// What the link in the bin folder says, or that it is no link.
    pub(super) bin: Link,
}

/// A name that shall be a link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing is there.
    #[default]
    Missing,
    /// A link to this.
    To(PathBuf),
    /// Something that is no link.
    Taken,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// Nothing.
    Missing,
    /// A file.
    File {
        /// Its content.
        content: Vec<u8>,
        /// Its permissions.
        mode: u32,
    },
    /// Something in the way.
    Blocked(String),
}

/// A project's service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceFacts {
    pub(super) mode: Mode,
    pub(super) active: bool,
    pub(super) serve: Option<i32>,
    pub(super) sha256: Option<String>,
    pub(super) round_num: Option<i64>,
    pub(super) monitor_active: bool,
    pub(super) enabled: bool,
    pub(super) monitor_enabled: bool,
}

/// Looks at everything the plan needs.
pub(super) fn observe(world: &World, manifest: &Manifest, desired: &Desired) -> Facts {
    let scope = scope_of(manifest);
    let owner = world.owner(scope);
    let places = world.places(scope);
    let mut facts = Facts { binary: binary(world, manifest, &places), ..Facts::default() };
    let targets = desired.targets.iter().map(|target| (&target.path, target.rights));
    let unwanted = desired.unwanted.iter().map(|unwanted| (&unwanted.path, unwanted.rights));
    let paths: BTreeMap<&PathBuf, Rights> = targets.chain(unwanted).collect();
    let look =
        |(path, rights): (&PathBuf, Rights)| (path.clone(), with_rights(rights, owner, || entry(path)));
    facts.entries = paths.into_iter().map(look).collect();
    let units = desired.unwanted.iter().filter(|unwanted| unwanted.what == What::Unit);
    facts.enabling = units.filter_map(|unit| Some((unit.path.clone(), enabling_link(&unit.path)?))).collect();
    for wanted in &desired.projects {
        facts.services.insert(wanted.project.name.clone(), service_facts(wanted));
        let manager = manager(wanted.scope, owner);
        if let Some(Err(error)) = manager.map(|manager| manager.reach()) {
            facts.no_manager = Some(in_words(&error));
        }
        if wanted.scope == Scope::User && linger::linger(owner) == Linger::Off {
            facts.linger_remedy = Some(linger::remedy(owner));
        }
    }
    facts
}

/// Returns the manager of a scope.
pub(super) fn manager(scope: Scope, owner: &Account) -> Option<Manager> {
    match scope {
        Scope::User => Some(Manager::user(owner)),
        Scope::System => Some(Manager::System),
        Scope::Detached => None,
    }
}

/// Returns the SHA-256 of what a process executes.
pub(super) fn running_sha256(serve: Identity) -> Option<String> {
    sha256::of_file(&program::file(serve.pid)).ok().filter(|_| serve.is_alive())
}

pub(super) fn binary(world: &World, manifest: &Manifest, places: &Places) -> Binary {
    let wanted = manifest.agents.iter().find(|agent| agent.machine == std::env::consts::ARCH).cloned();
    let there = wanted.as_ref().and_then(|wanted| sha256::of_file(&places.binary(&wanted.folder())).ok());
    let own = if there.is_none() && wanted.is_some() { sha256::of_file(&world.program).ok() } else { None };
    let bin = match fs::symlink_metadata(places.bin()) {
        Err(_) => Link::Missing,
        Ok(meta) if meta.is_symlink() => fs::read_link(places.bin()).map_or(Link::Taken, Link::To),
        Ok(_) => Link::Taken,
    };
    Binary {
        wanted,
        offered: manifest.agents.iter().map(|agent| agent.machine.clone()).collect(),
        there,
        own,
        current: fs::read_link(places.current()).ok(),
        bin,
    }
}

fn entry(path: &Path) -> Entry {
    match fs::symlink_metadata(path) {
        Err(error) if is_absence(&error) => parent_of_missing(path),
        Err(error) => Entry::Blocked(in_words(&error)),
        Ok(meta) if meta.is_symlink() => Entry::Blocked("it is a link".to_owned()),
        Ok(meta) if meta.is_dir() => Entry::Blocked("it is a folder".to_owned()),
        Ok(meta) if !meta.is_file() => Entry::Blocked("it is no regular file".to_owned()),
        Ok(meta) => match ground::read(path) {
            Ok(Some(content)) => Entry::File { content, mode: meta.permissions().mode() & 0o7777 },
            Ok(None) => Entry::Missing,
            Err(error) => Entry::Blocked(in_words(&error)),
        },
    }
}

/// Returns the link that enables a unit, and what it says.
fn enabling_link(unit: &Path) -> Option<(PathBuf, PathBuf)> {
    let links = WANTS.iter().map(|wants| Some(unit.parent()?.join(wants).join(unit.file_name()?)));
    links.flatten().find_map(|link| fs::read_link(&link).ok().map(|target| (link, target)))
}

/// A missing file can be made when the nearest thing above it is a folder.
fn parent_of_missing(path: &Path) -> Entry {
    for above in path.ancestors().skip(1) {
        match fs::metadata(above) {
            Ok(meta) if meta.is_dir() => return Entry::Missing,
            Ok(_) => return Entry::Blocked(format!("{} is no folder", above.display())),
            Err(error) if is_absence(&error) => {}
            Err(error) => return Entry::Blocked(in_words(&error)),
        }
    }
    Entry::Missing
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Returns the nearest existing folder above our own places that cannot be written, when there is one.
pub(super) fn read_only(places: &Places) -> Option<PathBuf> {
    [places.state(), &places.versions()].into_iter().find_map(|path| {
        let existing = path.ancestors().find(|above| above.exists())?;
        access(existing, AccessFlags::W_OK | AccessFlags::X_OK).is_err().then(|| existing.to_owned())
    })
}

pub(super) fn service_facts(wanted: &Wanted) -> ServiceFacts {
    let project = &wanted.project;
    let status = service::status(project);
    let serve = service::running(project);
    let manager = manager(wanted.scope, &project.account);
    let monitor = manager.as_ref().and_then(|manager| manager.show(&project.monitor_unit()).ok()?.state);
    let enabled =
        |unit: &str| manager.as_ref().is_some_and(|manager| manager.is_enabled(unit).unwrap_or(false));
    ServiceFacts {
        mode: status.mode,
        active: status.active,
        sha256: serve.and_then(running_sha256),
        serve: serve.map(|serve| serve.pid),
        round_num: round_num(project),
        monitor_active: match manager {
            Some(_) => monitor.is_some_and(|state| state.is_live()),
            None => detached::running_monitor(project).is_some(),
        },
        enabled: enabled(&project.serve_unit()),
        monitor_enabled: enabled(&project.monitor_unit()),
    }
}

/// Returns the program that services run: the deployed name when there is or will be one, so that an upgrade is a
/// rename; else this program.
pub(super) fn service_program(world: &World, places: &Places, manifest: &Manifest) -> PathBuf {
    let deployed =
        !manifest.agents.is_empty() || fs::symlink_metadata(places.bin()).is_ok_and(|meta| meta.is_symlink());
    if deployed { places.bin().to_owned() } else { world.program.clone() }
}
