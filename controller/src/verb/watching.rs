//! What every verb that watches the fleet shares: the streams, what an earlier run left, the lock, the sinks.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent_runner::error::in_words;
use agent_runner_inventory::{HostName, Inventory};
use jiff::{SignedDuration, Timestamp};
use nix::fcntl::{Flock, FlockArg};
use tokio::task::JoinSet;

use super::Ctx;
use crate::deploy::manifest::Maker;
use crate::error::{Error, config, usage};
use crate::fleetview::beginning::{Beginning, ago};
use crate::fleetview::brake;
use crate::fleetview::life::Alerts;
use crate::fleetview::state::{HostFacts, StreamId};
use crate::history::journal::{Journal, Keeps};
use crate::history::query::Wanted;
use crate::history::{self, Entry, HistoryError, Store};
use crate::output::print;
use crate::sinks::{self, Http, Place};
use crate::ssh::Client;
use crate::targets::{Projects, Target};
use crate::watcher::streams::Watched;
use crate::watcher::watch::{Setup, Watcher};

/// The file every project has.
const CONFIG: &str = "agent-runner.toml";
/// Lines of the history that the strips of rounds begin with, over all hosts.
const ROUND_LINES: usize = 20_000;

/// Whether a watch acts, or only looks on because another one acts already.
#[derive(Debug)]
pub enum Role {
    /// It stops hosts, writes history and sends messages; the lock says that it is the only one.
    Guard(Flock<File>, Store),
    /// It only looks on.
    Looker,
}

/// A watch that is ready to run.
#[derive(Debug)]
pub struct Ready {
    /// The watch.
    pub watcher: Watcher,
    /// The sinks' workers.
    pub workers: JoinSet<()>,
    /// The lock, held for as long as the watch runs.
    pub lock: Option<Flock<File>>,
}

impl Ctx {
    /// Returns where the fleet's history is.
    ///
    /// # Errors
    /// When the user has no state folder.
    pub fn history_path(&self, inventory: &Inventory) -> Result<PathBuf, Error> {
        let state = dirs::state_dir().ok_or_else(|| {
            config("there is no place for the history").hinted("set HOME, or XDG_STATE_HOME")
        })?;
        Ok(history::path(&state, &inventory.fleet.name))
    }

    /// Opens the fleet's history.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn history(&self, inventory: &Inventory) -> Result<Store, Error> {
        Store::open(&self.history_path(inventory)?).map_err(of_history)
    }

    /// Writes down what was asked of services where the fleet has a history; what cannot be written costs a warning.
    pub(crate) fn remember(&self, inventory: &Inventory, entries: &[Entry]) {
        let Some(path) = self.history_path(inventory).ok().filter(|path| path.exists()) else { return };
        if let Err(error) = Store::open(&path).and_then(|mut store| store.write(entries)) {
            print::note(&format!("warning: the history does not have this: {}", in_words(&error)));
        }
    }

    /// Returns who acts on the fleet from here: this process, or another one already.
    ///
    /// # Errors
    /// When the history or its lock cannot be opened.
    pub fn role(&self, inventory: &Inventory) -> Result<Role, Error> {
        let store = self.history(inventory)?;
        let path = store.path().with_extension("lock");
        let failed = |error| config(format!("the lock {}", path.display())).caused_by(error);
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Role::Guard(lock, store)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(Role::Looker),
            Err((_, error)) => Err(failed(error.into())),
        }
    }

    /// Returns a watch over the targets' projects. Call it inside the runtime: the sinks' workers start here.
    ///
    /// # Errors
    /// When a sink or the history cannot be used.
    pub fn prepare(
        &self,
        inventory: &Inventory,
        role: Role,
        client: Client,
        (targets, projects): (&[Target], &Projects<'_>),
    ) -> Result<Ready, Error> {
        let mut beginning = facts(self, inventory, targets, projects);
        let mut policy = inventory.monitor.clone();
        let watched = watched(targets, projects);
        let Role::Guard(lock, mut store) = role else {
            policy.auto_stop.clear();
            let store = self.history(inventory)?;
            restore(&store, &mut beginning, &watched).map_err(of_history)?;
            // The cursors are the other one's: what it has seen, this one has not.
            beginning.streams.clear();
            beginning.look_on();
            let journal = Journal::keeping(store, Keeps::Words)
                .map_err(|error| config("the history's thread").caused_by(error))?;
            let setup = Setup { client, watched, policy, beginning, journal: Some((journal, Vec::new())) };
            return Ok(Ready { watcher: Watcher::new(setup), workers: JoinSet::new(), lock: None });
        };
        store.keep_hosts(&inventory.hosts().iter().map(HostName::as_str).collect()).map_err(of_history)?;
        restore(&store, &mut beginning, &watched).map_err(of_history)?;
        let home = self.home();
        let place =
            |sink| Place::of(sink, home.as_deref()).map_err(|error| config("a sink").caused_by(error));
        let places = inventory.sinks.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<String> = places.iter().map(Place::name).collect();
        store.keep_sinks(&names).map_err(of_history)?;
        let journal =
            Journal::start(store).map_err(|error| config("the history's thread").caused_by(error))?;
        let setup = Setup { client, watched, policy, beginning, journal: Some((journal.clone(), names)) };
        let watcher = Watcher::new(setup);
        let mut workers = JoinSet::new();
        if !places.is_empty() {
            let http = Http::with_roots_of_this_machine();
            for place in places {
                let way = (watcher.hub(), watcher.inputs());
                workers.spawn(sinks::work(place, http.clone(), journal.clone(), way));
            }
        }
        Ok(Ready { watcher, workers, lock: Some(lock) })
    }
}

/// Returns an error of the history as a verb ends with it.
pub(crate) fn of_history(error: HistoryError) -> Error {
    config("the fleet's history").caused_by(error)
}

/// Refuses to watch hosts of which none has a project.
///
/// # Errors
/// When there is nothing to watch.
pub(crate) fn some_project(targets: &[Target], projects: &Projects<'_>) -> Result<(), Error> {
    if watched(targets, projects).is_empty() {
        return Err(usage("none of the selected hosts has a project")
            .hinted("give a project an `on` that names them"));
    }
    Ok(())
}

/// Returns a stream for each project of each host.
pub(crate) fn watched(targets: &[Target], projects: &Projects<'_>) -> Vec<Watched> {
    let mut watched = Vec::new();
    for target in targets {
        for project in projects.on(&target.name) {
            watched.push(Watched {
                id: StreamId { host: target.name.as_str().into(), project: project.name.as_str().into() },
                settings: target.settings.clone(),
                work_dir: project.work_dir.clone(),
                sudo: target.sudo(),
            });
        }
    }
    watched
}

/// Returns every host of the inventory with its account.
pub(crate) fn hosts(inventory: &Inventory) -> BTreeMap<Arc<str>, HostFacts> {
    let projects = Projects::of(inventory, &[]).ok();
    let facts = |name: &HostName| {
        let account = inventory.host(name.as_str()).and_then(|host| host.account);
        let on = projects.as_ref().map(|projects| {
            projects.on(name).iter().map(|project| Arc::from(project.name.as_str())).collect()
        });
        let account = account.map(|set| set.value.as_str().into());
        (Arc::from(name.as_str()), HostFacts { account, projects: on })
    };
    inventory.hosts().iter().map(facts).collect()
}

fn facts(ctx: &Ctx, inventory: &Inventory, targets: &[Target], projects: &Projects<'_>) -> Beginning {
    let home = ctx.home();
    let maker = Maker { inventory, home: home.as_deref(), by: ctx.by() };
    let mut wanted = BTreeMap::new();
    let mut failure = None;
    for target in targets {
        let manifest = match maker.manifest(&target.host, projects.on(&target.name)) {
            Ok(manifest) => manifest,
            Err(error) => {
                failure.get_or_insert(error);
                continue;
            }
        };
        for project in manifest.projects {
            if let Some(file) = project.files.iter().find(|file| file.path == CONFIG) {
                let id =
                    StreamId { host: target.name.as_str().into(), project: project.name.as_str().into() };
                wanted.insert(id, digest(file.content.as_bytes()).into());
            }
        }
    }
    if let Some(error) = failure {
        print::note(&format!("warning: config_drift is not looked for everywhere: {error}"));
    }
    Beginning {
        name: inventory.fleet.name.as_str().into(),
        hosts: hosts(inventory),
        wanted,
        ..Beginning::default()
    }
}

fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Takes up what an earlier run left of what is watched now.
fn restore(store: &Store, beginning: &mut Beginning, watched: &[Watched]) -> Result<(), HistoryError> {
    let now = Timestamp::now();
    beginning.streams = store.cursors()?.into_iter().map(|(id, cursor)| (id, Some(cursor))).collect();
    beginning.stopped = store.stops()?.into_iter().collect();
    // From the log: a service that was brought back meanwhile was stopped all the same.
    let since = now.checked_sub(brake::MEMORY).unwrap_or(now);
    let recent = store.own_stops(since)?.into_iter();
    beginning.recent_stops = recent.filter_map(|(host, at)| Some((host, ago(at, now)?))).collect();
    beginning.alerts = Alerts::restored(store.open_alerts()?);
    beginning.silences = store.silences(now)?;
    let kinds = ["round_start", "agent_spawn", "agent_exit", "agent_usage_recorded", "round_end"];
    let since = now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(now);
    let kinds = kinds.map(str::to_owned).to_vec();
    let rounds = store.log(&Wanted { since, hosts: None, kinds, most: ROUND_LINES })?;
    beginning.rounds = rounds
        .into_iter()
        .map(|line| (StreamId { host: line.host.into(), project: line.project.into() }, line.body))
        .collect();
    beginning.keep(&watched.iter().map(|one| one.id.clone()).collect());
    Ok(())
}

/// Tells a person that this watch only looks on.
pub(crate) fn say_looker(path: &Path) {
    print::note(&format!(
        "another monitor of this fleet runs on this machine ({}): this one looks on, and stops, writes and sends nothing",
        path.display()
    ));
}
