//! From the command line to the first iteration, in its fixed order, and the way out.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::driver::Driver;
use super::facts::Groups;
use super::handover::{Handover, Invocation};
use super::history::History;
use super::input::Input;
use super::limits;
use super::notify::{Notify, Variables};
use super::policy::{Policy, Rounds, Surroundings, Windows};
use super::state::{Delaying, Loop, State};
use crate::config::overlap::overlaps;
use crate::config::types::Config;
use crate::error::{Error, Exit, in_words};
use crate::event::Event;
use crate::git::{Git, Limits};
use crate::host::cgroup::Cgroup;
use crate::host::{Root, memory, pressure};
use crate::output;
use crate::process::identity::Identity;
use crate::process::inherited;
use crate::process::orphans;
use crate::process::signals::{SignalInput, Signals};
use crate::provider::Presets;
use crate::round::options::Battery;
use crate::round::preflight::{Class, SearchPath, battery};
use crate::store::doorbell::Doorbell;
use crate::store::event_log::EventLog;
use crate::store::follow::Follower;
use crate::store::layout::Layout;
use crate::store::lock::Lock;
use crate::store::{atomic, pid_file, retention};

/// How `serve` was asked to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration.
    pub config: PathBuf,
    /// The home folder, for `~`.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME` or its default, for the operator's presets.
    pub config_home: Option<PathBuf>,
    /// `--max-rounds`
    pub max_rounds: Option<i64>,
    /// `--once`
    pub rounds: Rounds,
    /// `--ignore-schedule`
    pub windows: Windows,
    /// How to start again.
    pub invocation: Invocation,
    /// Whether no round could ever run is found out before the first one.
    pub startup: Startup,
    /// The service manager.
    pub notify: Variables,
    /// What an earlier program of this process handed over.
    pub inherited: Inherited,
}

/// The startup battery, as the rounds will run it.
#[derive(Debug, Clone)]
pub struct Startup {
    /// Whether it runs at all.
    pub battery: Battery,
    /// The search path of commands.
    pub path: Option<OsString>,
}

/// What an earlier program of this process handed over, as it stands in the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inherited {
    /// The number of the lock's descriptor.
    pub lock: Option<String>,
    /// [`Handover`] as JSON.
    pub state: Option<String>,
}

/// Runs the Loop to its end.
///
/// # Errors
/// A second Loop on the same log dir, a log dir that cannot be made, and the kernel refusing what a Loop cannot do
/// without.
pub fn run(options: Options) -> Result<Exit, Error> {
    // First of all, so that a signal in the middle of what follows is kept and not fatal.
    let signals =
        Signals::block(&[SignalInput::Term, SignalInput::Int, SignalInput::Usr1, SignalInput::Usr2])
            .map_err(|error| Error::failed("signals cannot be blocked").caused_by(error))?;
    let loaded = match Config::load(&options.config, options.home.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => return Ok(config_error(&in_words(&error), error.hint())),
    };
    for warning in &loaded.warnings {
        output::note(&format!("warning: {warning}"));
    }
    let config = loaded.config;
    let layout = Layout::new(&config.runtime.log_dir);
    atomic::make_folder(layout.root()).map_err(|error| {
        Error::failed(format!("{} cannot be made", layout.root().display())).caused_by(error)
    })?;
    let (lock, handover) = lock(&options.inherited, &layout, &config.runtime.work_dir)?;
    let adopts = orphans::set_subreaper();
    if !adopts.map_err(|error| Error::failed("orphans cannot be adopted").caused_by(error))? {
        output::note(
            "warning: there are no subreapers here: what leaves the session of a round ends with the service only",
        );
    }
    let events = EventLog::new(layout.clone());
    if let Err(reason) = prepare(&options, &config, &events, handover.as_ref()) {
        events.append(&Event::ConfigBroken { reason: reason.clone() });
        return Ok(config_error(&reason, None));
    }
    let mut git = Git::new(&config.runtime.work_dir, Limits::default());
    if let Err(reason) =
        refuse_overlaps(&config).and_then(|()| check(&options.startup, &events, &config, &mut git))
    {
        events.append(&Event::ConfigBroken { reason: reason.clone() });
        return Ok(config_error(&reason, None));
    }
    let root = Root::default();
    let facts = limit_facts(&root, &config);
    // From here on the Loop counts as running: whoever waits for a new release hears of it only now.
    match &handover {
        Some(handover) => events.append(&Event::ServeHandedOver {
            from_version: handover.from_version.clone(),
            to_version: env!("CARGO_PKG_VERSION").into(),
        }),
        None => tell_limits(&events, &facts),
    }
    let driver = Driver {
        policy: policy(&options, &config, &facts),
        git,
        config_path: config.path.clone(),
        doorbell: Doorbell::listen(&layout.notify_dir()).ok(),
        groups: Groups::find(&root),
        notify: Notify::open(&options.notify, std::process::id()),
        history: History::default(),
        follower: Follower::from_start(),
        watch: None,
        child: None,
        started: Instant::now(),
        inputs: VecDeque::new(),
        poisoned: Vec::new(),
        invocation: options.invocation,
        config,
        events,
        root,
        signals,
        lock,
        layout,
    };
    serve(driver, handover)
}

fn serve(mut driver: Driver, handover: Option<Handover>) -> Result<Exit, Error> {
    let layout = driver.layout.clone();
    if let Err(error) = pid_file::write(&layout, &Identity::own()) {
        // A full disk must not keep the Loop from running; only who asks for the pid misses it.
        output::error(&Error::failed("serve.pid cannot be written").caused_by(error));
    }
    driver.replay_log();
    let delay = handover.as_ref().map(|handover| Duration::from_millis(handover.delay_ms));
    let mut current = Loop::new(handover.map(|handover| handover.carried).unwrap_or_default());
    let first = match delay {
        Some(delay) => {
            let until = driver.started.elapsed() + delay;
            current.state = State::Delaying(Delaying { until, recheck: until });
            Input::Doorbell
        }
        None => driver.first_facts(),
    };
    driver.inputs.push_back(first);
    let ended = driver.run(current);
    if let Err(error) = pid_file::remove(&layout) {
        output::error(&Error::failed("serve.pid cannot be removed").caused_by(error));
    }
    ended.map_err(|error| Error::failed("waiting failed").caused_by(error))
}

/// Prints the line that every tool recognises.
fn config_error(text: &str, hint: Option<String>) -> Exit {
    output::note(&format!("config error: {text}"));
    if let Some(hint) = hint {
        output::note(&format!("hint: {hint}"));
    }
    Exit::Config
}

/// Takes the lock, or goes on with the one an earlier program of this process holds.
fn lock(inherited: &Inherited, layout: &Layout, work_dir: &Path) -> Result<(Lock, Option<Handover>), Error> {
    let path = layout.serve_lock();
    let failed =
        |error: io::Error| Error::failed(format!("{} cannot be locked", path.display())).caused_by(error);
    if let Some(lock) = adopt(inherited, &path) {
        return Ok((lock, inherited.state.as_deref().and_then(Handover::parse)));
    }
    let Some(lock) = Lock::try_take(&path).map_err(failed)? else {
        let text = format!("another serve is already running for {}", work_dir.display());
        return Err(Error::failed(text).hinted("`agent-runner status` names it; `agent-runner stop` ends it"));
    };
    Ok((lock, None))
}

fn adopt(inherited: &Inherited, path: &Path) -> Option<Lock> {
    let number = inherited.lock.as_deref()?.parse().ok()?;
    // A number that means nothing here (an old variable, another log dir) is no lock of ours.
    Lock::adopt(inherited::adopt(number).ok()?, path).ok().flatten()
}

/// Makes the log dir ready and checks what only a person can put right.
fn prepare(
    options: &Options,
    config: &Config,
    events: &EventLog,
    handover: Option<&Handover>,
) -> Result<(), String> {
    let layout = events.layout();
    // What an agent asked for in the round before a hand-over still counts.
    if handover.is_none() {
        remove_agent_done(layout)
            .map_err(|error| format!(".agent-done cannot be removed: {}", in_words(&error)))?;
    }
    if let Some(event) = retention::prune_round_logs(layout, config.runtime.round_log_retention) {
        events.append(&event);
    }
    let now = Timestamp::now();
    retention::prune_events(layout, config.retention.events_months, now);
    retention::prune_metrics(layout, config.retention.metrics_months, now);
    if options.max_rounds.is_some_and(|rounds| rounds < 1) {
        return Err("--max-rounds must be at least 1".into());
    }
    Ok(())
}

/// Refuses phases that would run two agents at the same time.
fn refuse_overlaps(config: &Config) -> Result<(), String> {
    match overlaps(config).first() {
        None => Ok(()),
        Some(overlap) => Err(format!(
            "phases {} ({}) and {} ({}) would run at the same time; `agent-runner doctor` lists every overlap",
            overlap.phase_a, overlap.window_a, overlap.phase_b, overlap.window_b
        )),
    }
}

/// Runs the startup battery. What only a person can put right ends the Loop before it says that it is ready; what heals
/// by itself is left to the rounds.
fn check(startup: &Startup, events: &EventLog, config: &Config, git: &mut Git) -> Result<(), String> {
    if startup.battery == Battery::Skip {
        return Ok(());
    }
    let mut failures = battery(config, git, SearchPath::Known(startup.path.as_deref()));
    failures.retain(|failure| failure.class == Class::Permanent);
    for failure in &failures {
        events.append(&Event::SmokeCheckFailed { reason: format!("{}: {}", failure.check, failure.reason) });
    }
    match failures.first() {
        None => Ok(()),
        Some(failure) => {
            Err(format!("no round can run: {}: {} (fix: {})", failure.check, failure.reason, failure.fix))
        }
    }
}

fn remove_agent_done(layout: &Layout) -> io::Result<()> {
    match fs::remove_file(layout.agent_done()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn limit_facts(root: &Root, config: &Config) -> limits::Facts {
    let own = Cgroup::own(root);
    let info = memory::read(root).unwrap_or_default();
    limits::Facts {
        effective: own.as_ref().map(Cgroup::effective_limits).unwrap_or_default(),
        own: own.as_ref().map(Cgroup::limits).unwrap_or_default(),
        delegated: own.as_ref().and_then(Cgroup::delegated),
        leaf: own.map(|own| own.path),
        ram: info.total.unwrap_or(0),
        swap: info.swap_total.unwrap_or(0),
        psi: pressure::read_memory(root).map_or(limits::Psi::Missing, |_| limits::Psi::Readable),
        brake: if config.monitor.host_health.brake.memory_high {
            limits::Brake::On
        } else {
            limits::Brake::Off
        },
    }
}

fn tell_limits(events: &EventLog, facts: &limits::Facts) {
    events.append(&facts.event());
    if let Some(advisory) = facts.advisory() {
        output::note(&format!("advice: {advisory}"));
    }
}

fn policy(options: &Options, config: &Config, facts: &limits::Facts) -> Policy {
    let folders = Presets::folders(options.config_home.as_deref(), Some(&config.runtime.work_dir));
    let around = Surroundings {
        max_rounds: options.max_rounds.and_then(|rounds| u64::try_from(rounds).ok()),
        rounds: options.rounds,
        windows: options.windows,
        presets: &Presets::load(&folders).without(&config.disabled_plugins),
        // The configuration was refused already when this host does not know a zone.
        zone: |name| name.and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(TimeZone::system),
        limits: facts,
    };
    Policy::new(config, &around)
}
