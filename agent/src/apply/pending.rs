//! The durable record of a switch that nobody has confirmed yet: who, until when, and how to put everything back.

use std::fs;
use std::io;
use std::path::PathBuf;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::desired::Rights;
use super::facts::Link;
use super::manifest::{By, Drain, Healthy, Scope};
use super::places::Places;
use super::plan::{MonitorPlan, ServicePlan};
use super::report::{Action, What};
use super::switch::Input;
use crate::process::identity::Identity;
use crate::service::{self, Account, Mode};
use crate::store::atomic;
use crate::store::layout::Layout;

/// The record's version.
const VERSION: u32 = 1;

/// A switch that waits for its confirmation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) pending: u32,
    pub(super) id: String,
    pub(super) fleet: String,
    pub(super) host: String,
    pub(super) by: By,
    pub(super) scope: Scope,
    pub(super) drain: Drain,
    #[serde(default)]
    pub(super) healthy: Healthy,
    /// When the switch began.
    pub(super) switched_at: String,
    pub(super) confirm_s: u64,
    pub(super) deadline: Deadline,
    /// Whether anything in use may have been touched; before that there is nothing to put back.
    pub(super) begun: bool,
    pub(super) undo: Vec<Undo>,
    pub(super) services: Vec<PendingService>,
    /// What the Loops shall execute afterwards.
    pub(super) wanted_sha256: Option<String>,
    /// The version folder that was in use, as the link said.
    pub(super) previous_version: Option<PathBuf>,
    /// The program detached services are started by.
    pub(super) program: PathBuf,
    /// Release folders that go when everything is put back.
    pub(super) releases: Vec<PathBuf>,
}

/// When an unconfirmed switch is put back, on a clock that nobody sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Deadline {
    /// The boot it belongs to: after another one it has passed.
    pub(super) boot_id: String,
    /// Seconds since that boot.
    pub(super) boot_s: f64,
}

/// How one path is put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Undo {
    /// A file: from its backup, or away.
    File { path: PathBuf, staged: PathBuf, backup: Option<PathBuf>, mode: u32, rights: Rights, what: What },
    /// A link: to its old target, or away.
    Link {
        path: PathBuf,
        staged: PathBuf,
        target: Option<PathBuf>,
        #[serde(default)]
        rights: Rights,
    },
}

/// One project's service in a pending switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PendingService {
    pub(super) name: String,
    pub(super) config: PathBuf,
    pub(super) work_dir: PathBuf,
    pub(super) log_dir: PathBuf,
    pub(super) stop_timeout_s: u64,
    pub(super) scope: Scope,
    pub(super) action: Option<Action>,
    pub(super) was_active: bool,
    pub(super) was_mode: Mode,
    /// The Loop before the switch.
    pub(super) was: Option<Identity>,
    /// Units that the switch enables.
    pub(super) enabled: Vec<String>,
    pub(super) monitor_wanted: bool,
    pub(super) monitor_was_active: bool,
    /// Whether the new Loop is started by whoever sees the old one gone.
    pub(super) start_when_gone: bool,
    /// When a round that still drains is interrupted.
    pub(super) cancel_at: Option<Deadline>,
}

impl Deadline {
    /// Returns the instant `seconds` from now.
    pub(super) fn in_seconds(seconds: u64) -> Deadline {
        #[expect(clippy::cast_precision_loss, reason = "seconds stay far below 2^52")]
        let seconds = seconds as f64;
        Deadline { boot_id: boot_id(), boot_s: since_boot_s() + seconds }
    }

    /// Returns how many seconds are left; 0 when it has passed, also by a reboot.
    pub(super) fn left_s(&self) -> f64 {
        if self.boot_id == boot_id() { (self.boot_s - since_boot_s()).max(0.0) } else { 0.0 }
    }
}

impl Undo {
    /// Returns the path that is switched.
    pub(super) fn path(&self) -> &PathBuf {
        match self {
            Undo::File { path, .. } | Undo::Link { path, .. } => path,
        }
    }

    /// Returns the name beside the target under which its new content waits.
    pub(super) fn staged(&self) -> &PathBuf {
        match self {
            Undo::File { staged, .. } | Undo::Link { staged, .. } => staged,
        }
    }
}

impl PendingService {
    /// Returns the project as the service verbs know it.
    pub(super) fn project(&self, account: &Account) -> service::Project {
        service::Project {
            name: self.name.clone(),
            config: self.config.clone(),
            work_dir: self.work_dir.clone(),
            layout: Layout::new(self.log_dir.clone()),
            stop_timeout_s: self.stop_timeout_s,
            account: account.clone(),
        }
    }

    fn of(plan: &ServicePlan) -> PendingService {
        let project = &plan.wanted.project;
        PendingService {
            name: project.name.clone(),
            config: project.config.clone(),
            work_dir: project.work_dir.clone(),
            log_dir: project.layout.root().to_owned(),
            stop_timeout_s: project.stop_timeout_s,
            scope: plan.wanted.scope,
            action: plan.action,
            was_active: plan.before.active,
            was_mode: plan.before.mode,
            was: plan.before.serve.and_then(Identity::of),
            enabled: plan.enable.clone(),
            monitor_wanted: plan.monitor != MonitorPlan::Stop && plan.wanted.monitor,
            monitor_was_active: plan.before.monitor_active,
            start_when_gone: false,
            cancel_at: None,
        }
    }
}

impl Pending {
    /// Returns the record of a plan; the backups of its undo list must be on disk before it is.
    pub(super) fn of(id: String, input: &Input<'_>, places: &Places) -> Pending {
        let Input { world: _, scope, manifest, plan, facts } = *input;
        let mut undo = Vec::new();
        if plan.binary.is_some() {
            let bin_target = match &facts.binary.bin {
                Link::To(target) => Some(target.clone()),
                Link::Missing | Link::Taken => None,
            };
            for (path, target) in
                [(places.current(), facts.binary.current.clone()), (places.bin().to_owned(), bin_target)]
            {
                undo.push(Undo::Link { staged: staged(&path), path, target, rights: Rights::Acting });
            }
        }
        undo.extend(plan.unlinks.iter().map(|link| Undo::Link {
            path: link.path.clone(),
            staged: staged(&link.path),
            target: Some(link.target.clone()),
            rights: link.rights,
        }));
        Pending {
            pending: VERSION,
            id,
            fleet: manifest.fleet.clone(),
            host: manifest.host.clone(),
            by: manifest.by.clone(),
            scope,
            drain: manifest.drain,
            healthy: manifest.healthy,
            switched_at: String::new(),
            confirm_s: manifest.confirm_s,
            deadline: Deadline::in_seconds(manifest.confirm_s),
            begun: false,
            undo,
            services: plan.services.iter().map(PendingService::of).collect(),
            wanted_sha256: facts.binary.wanted.as_ref().map(|wanted| wanted.sha256.clone()),
            previous_version: plan.binary.as_ref().and(facts.binary.current.clone()),
            program: PathBuf::new(),
            releases: Vec::new(),
        }
    }

    /// Returns whether a unit is among what is switched.
    pub(super) fn has_units(&self) -> bool {
        self.undo.iter().any(|undo| matches!(undo, Undo::File { what: What::Unit, .. }))
    }
}

/// Returns the name beside a target under which its new content waits; always the same, so that it can be found again.
pub(super) fn staged(path: &std::path::Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.agent-runner-staged"))
}

/// Reads the record; `None` when nothing is pending.
///
/// # Errors
/// When there is one that cannot be read: then nobody knows how to put things back, and nothing may be switched.
pub(super) fn read(places: &Places) -> io::Result<Option<Pending>> {
    match fs::read(places.pending()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
    }
}

/// Writes the record.
pub(super) fn write(places: &Places, pending: &Pending) -> io::Result<()> {
    atomic::replace_json(&places.pending(), pending)
}

/// Removes the record: the switch is final, one way or the other.
pub(super) fn remove(places: &Places) -> io::Result<()> {
    match fs::remove_file(places.pending()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => atomic::sync_parent(&places.pending()),
    }
}

fn since_boot_s() -> f64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0.0, |at| std::time::Duration::from(at).as_secs_f64())
}

fn boot_id() -> String {
    crate::host::boot_id(&crate::host::Root::default()).unwrap_or_default()
}
