//! One round from start to end, one step after the other.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::agent_log::AgentLog;
use super::agent_run::{self, Run};
use super::error::RoundError;
use super::failpoint::Step;
use super::finish::{self, Finished};
use super::hold::{self, Hold};
use super::options::{Battery, Handed, RoundOptions};
use super::outcome::RoundExit;
use super::sample::Sampler;
use super::scene::Scene;
use super::{begin, critic, dirty, hooks, preflight, recover};
use crate::config::types::Config;
use crate::event::Event;
use crate::git::{Git, Limits};
use crate::output;
use crate::process::signals::{SignalInput, Signals};
use crate::provider::Presets;
use crate::store::atomic;
use crate::store::event_log::EventLog;
use crate::store::layout::Layout;

/// Runs one round. Signals are blocked from the start: before and while the agent runs they end the round, after it they
/// only cut the goal checks short, because what is left is bounded and keeps the state whole.
///
/// # Errors
/// When the round does not come to its end. The lock is released and its holder file removed all the same.
pub fn run(options: &RoundOptions) -> Result<RoundExit, RoundError> {
    let listened = [SignalInput::Term, SignalInput::Int, SignalInput::Hup, SignalInput::Usr1];
    let signals = Signals::block(&listened)
        .map_err(|source| RoundError::System { what: "listen to signals", source })?;
    let entered = enter(options)?;
    options.failpoint.reach(Step::Preflight);
    let mut hold = hold::take(entered.log.layout())?;
    options.failpoint.reach(Step::Lock);
    recover::end_strays_of(&hold.left, &entered.config.runtime.log_dir)?;
    let exit = if told_to_end(&signals) {
        Ok(RoundExit::Interrupted)
    } else {
        with_lock(options, entered, &signals, &mut hold)
    };
    drop(hold);
    options.failpoint.reach(Step::HolderRemoved);
    exit
}

/// A round whose configuration is read and whose checks have passed.
struct Entered {
    config: Config,
    log: EventLog,
    git: Git,
}

fn enter(options: &RoundOptions) -> Result<Entered, RoundError> {
    let home = options.surroundings.home.as_deref();
    let loaded = Config::load(&options.config_path, home).map_err(RoundError::Config)?;
    for warning in &loaded.warnings {
        output::note(&format!("warning: {warning}"));
    }
    let config = loaded.config;
    let log = EventLog::new(Layout::new(&config.runtime.log_dir));
    let mut git = Git::new(&config.runtime.work_dir, Limits::default());
    let failures = match options.surroundings.battery {
        Battery::Run => {
            let path = preflight::SearchPath::Known(options.surroundings.path.as_deref());
            preflight::battery(&config, &mut git, path)
        }
        Battery::Skip => {
            let path = log.layout().round_lock();
            atomic::make_folder(log.layout().root()).map_err(|source| RoundError::Lock { path, source })?;
            git.locate()?;
            Vec::new()
        }
    };
    if failures.is_empty() {
        return Ok(Entered { config, log, git });
    }
    for failure in &failures {
        log.append(&Event::SmokeCheckFailed { reason: format!("{}: {}", failure.check, failure.reason) });
    }
    Err(RoundError::Startup(failures))
}

fn with_lock(
    options: &RoundOptions,
    entered: Entered,
    signals: &Signals,
    hold: &mut Hold,
) -> Result<RoundExit, RoundError> {
    let Entered { config, log, git } = entered;
    let handed = options.surroundings.handed.for_log_dir(&config.runtime.log_dir);
    let last = begin::status(&log);
    let round_num = begin::number(&handed, &log);
    let phase = begin::phase(&config, options.phase.as_deref(), round_num)?;
    let scope = git.scope_without(&config.runtime.log_dir)?;
    let profile = config.profile(phase.as_deref());
    let scene = Scene { config, profile, log, git, scope, round_num, failpoint: options.failpoint };
    recover::adopt_stash(&scene, &hold.left);
    hold.announce(round_num, None);
    scene.reach(Step::Holder);

    let started = Timestamp::now();
    begin::prune(&scene);
    let context_json = begin::remember(&scene, last.as_ref(), started);
    scene.reach(Step::Context);
    let critic = critic::due(&scene);
    let before_ref = dirty::record_before(&scene);
    scene.reach(Step::Snapshot);
    begin::assess_goal(&scene);
    begin::tell_start(&scene);
    let mut sampler = Sampler::default();
    finish::sample(&scene, &mut sampler, "round_start");
    scene.reach(Step::RoundStart);

    let prompt = begin::prompt(&scene, &context_json)?;
    if told_to_end(signals) {
        return Ok(RoundExit::Interrupted);
    }
    let presets = presets(options, &scene);
    let log = AgentLog::open(scene.layout(), round_num, started)
        .map_err(|source| RoundError::System { what: "open a log for the agent", source })?;
    let timeout_s = i64::try_from(scene.profile.round_budget_s).unwrap_or(i64::MAX);
    scene.emit(&Event::AgentSpawn { round_num, timeout_s });
    scene.reach(Step::AgentSpawn);
    let stopping = stopping(&scene, &handed, &presets);
    let run = Run {
        signals,
        log: &log,
        prompt,
        resume: handed.resume,
        cooperative: stopping.0,
        reap_grace: stopping.1,
        temp_dir: options.surroundings.temp_dir.clone(),
    };
    let Some(end) = agent_run::run(&scene, hold, run)? else { return Ok(RoundExit::Interrupted) };
    let finished = Finished { end: &end, log: &log, before_ref: before_ref.as_deref() };
    finish::settle(&scene, &finished, signals);
    finish::conclude(&scene, &end, &mut sampler);
    if let Some(rules) = presets.rules_for(scene.profile.agent.identity()) {
        hooks::read_output(&scene, rules, &finished, options.surroundings.path.as_deref());
    }
    scene.reach(Step::Hooks);
    if let Some(critic) = &critic {
        critic::review(&scene, critic, signals);
    }
    Ok(end.round_exit())
}

fn presets(options: &RoundOptions, scene: &Scene) -> Presets {
    let config_home = options.surroundings.config_home.as_deref();
    let folders: Vec<PathBuf> = Presets::folders(config_home, Some(scene.work_dir()));
    let presets = Presets::load(&folders).without(&scene.config.disabled_plugins);
    for problem in presets.problems() {
        output::note(problem);
    }
    presets
}

/// Returns the first signal on unwinding and the time to follow it: the Loop's word, or the preset's.
fn stopping(
    scene: &Scene,
    handed: &Handed,
    presets: &Presets,
) -> (crate::process::signals::StopSignal, Duration) {
    let agent = &scene.profile.agent;
    let own_grace = Duration::from_secs(presets.grace_s(agent.identity(), agent.sigterm_grace_s));
    let signal = handed.stop_signal.unwrap_or_else(|| presets.stop_signal(agent.identity()));
    (signal, handed.reap_grace.unwrap_or(own_grace))
}

/// Returns whether a signal that ends the round has arrived; before the agent runs, a cancel is one too.
fn told_to_end(signals: &Signals) -> bool {
    signals.next().is_some()
}
