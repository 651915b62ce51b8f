//! What the configuration means to the Loop, resolved once: it holds for the Loop's whole life. Pure.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::brake::BrakePolicy;
use super::floor::{FloorPolicy, Terminate};
use super::limits;
use super::schedule::Calendar;
use crate::config::types::{Config, PhasePolicy, Schedule, TransientErrorAction};
use crate::host::Thresholds;
use crate::process::signals::StopSignal;
use crate::provider::Presets;
use crate::round::container;
use crate::store::layout::Layout;

/// Everything `step` needs to know beside state and input.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Who finds the phase of a round.
    pub turns: Turns,
    /// What holds without phases, and when the round itself finds its phase.
    pub base: Phase,
    /// The rotation.
    pub phases: Vec<Phase>,
    /// What happens about a throttle.
    pub action: TransientErrorAction,
    /// Rounds after which the Loop ends.
    pub max_rounds: Option<u64>,
    /// Whether it ends after the first.
    pub rounds: Rounds,
    /// The shortest time between two rounds.
    pub restart_delay: Duration,
    /// Every n-th round looks with fresh eyes.
    pub fresh_eyes_every_n: Option<u64>,
    /// Memory during a round; `terminate` is each phase's own.
    pub floor: FloorPolicy,
    /// The soft brake, when it may be pulled.
    pub brake: Option<BrakePolicy>,
    /// Where the logs are, for the events that name one.
    pub logs: Layout,
    /// The operator's stop file, for the event that names it.
    pub stop_file: Option<PathBuf>,
}

/// Who finds the phase of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// The round itself; the global schedule holds.
    Child,
    /// The round itself, at any time (`--ignore-schedule`).
    ChildAnytime,
    /// The Loop: the one whose turn it is, and it is waited for.
    Wait,
    /// The Loop: the first that can run.
    Skip,
}

/// How many rounds there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounds {
    /// One.
    Once,
    /// As many as it takes.
    Endless,
}

/// Whether the windows count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// They do.
    Honoured,
    /// `--ignore-schedule`.
    Ignored,
}

/// One phase, or the base.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Its name; `None` for the base.
    pub name: Option<String>,
    /// Its agent's identity.
    pub agent: String,
    /// When the round's own wall clock counts as broken.
    pub ceiling: Duration,
    /// Seconds its agent gets between the first signal and KILL.
    pub grace_s: u64,
    /// The signal that asks its agent to end when the round is interrupted.
    pub stop_signal: StopSignal,
    /// The option that names a session, for an agent that can go on with one.
    pub resume_flag: Option<String>,
    /// What critical memory leads to.
    pub terminate: Terminate,
    /// When it may run.
    pub calendar: Calendar,
}

/// What is known beside the configuration.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// `--max-rounds`, which beats the configuration.
    pub max_rounds: Option<u64>,
    /// `--once`.
    pub rounds: Rounds,
    /// `--ignore-schedule`.
    pub windows: Windows,
    /// How agents stop and resume.
    pub presets: &'a Presets,
    /// Finds the rules of a time zone; `None` is the host's.
    pub zone: fn(Option<&str>) -> TimeZone,
    /// What bounds the Loop's memory.
    pub limits: &'a limits::Facts,
}

impl Policy {
    /// Resolves a configuration.
    pub fn new(config: &Config, around: &Surroundings<'_>) -> Policy {
        let health = &config.monitor.host_health;
        let brake = BrakePolicy {
            step_pct: health.brake.memory_high_step_pct,
            samples: health.brake.warning_consecutive_samples,
        };
        let phases: Vec<Phase> =
            config.phases.list.iter().map(|name| phase(config, around, Some(name))).collect();
        Policy {
            turns: turns(config, around.windows),
            base: phase(config, around, None),
            phases,
            action: config.runtime.transient_error_action,
            max_rounds: around.max_rounds.or(config.runtime.max_rounds),
            rounds: around.rounds,
            restart_delay: Duration::from_secs(config.runtime.restart_delay_s),
            fresh_eyes_every_n: config.runtime.fresh_eyes_every_n,
            floor: FloorPolicy::new(&health.pressure, Thresholds::from(health), Terminate::Never),
            brake: around.limits.brake_armed().then_some(brake),
            logs: Layout::new(&config.runtime.log_dir),
            stop_file: config.runtime.stop_file.clone(),
        }
    }

    /// Returns the rotation from the phase of this round on.
    pub fn rotation(&self, round_num: i64) -> impl Iterator<Item = &Phase> {
        let length = self.phases.len();
        let turn = i64::try_from(length).ok().filter(|&length| length > 0);
        let first = turn.and_then(|length| usize::try_from((round_num - 1).rem_euclid(length)).ok());
        self.phases.iter().cycle().skip(first.unwrap_or(0)).take(length)
    }

    /// Returns the phase of that name.
    pub fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name.as_deref() == Some(name))
    }
}

fn turns(config: &Config, windows: Windows) -> Turns {
    let own_schedule = config.phases.overrides.values().any(|phase| phase.schedule.is_some());
    match (windows, config.phases.policy) {
        (Windows::Ignored, _) => Turns::ChildAnytime,
        (Windows::Honoured, _) if config.phases.list.is_empty() => Turns::Child,
        (Windows::Honoured, PhasePolicy::Skip) => Turns::Skip,
        (Windows::Honoured, PhasePolicy::Wait) if own_schedule => Turns::Wait,
        (Windows::Honoured, PhasePolicy::Wait) => Turns::Child,
    }
}

fn phase(config: &Config, around: &Surroundings<'_>, name: Option<&String>) -> Phase {
    let profile = config.profile(name.map(String::as_str));
    let identity = profile.agent.identity().to_owned();
    let command: Vec<String> =
        profile.agent.exec_prefix.iter().chain(&profile.agent.command).cloned().collect();
    let pressure = &config.monitor.host_health.pressure;
    let terminate = if !pressure.in_round_terminate {
        Terminate::Never
    } else if around.limits.defer() && container::detect(&command).is_none() {
        Terminate::LeaveToCgroup
    } else {
        Terminate::Round
    };
    Phase {
        name: name.cloned(),
        ceiling: Duration::from_secs(config.outer_ceiling_s(name.map(String::as_str))),
        grace_s: around.presets.grace_s(&identity, profile.agent.sigterm_grace_s),
        stop_signal: around.presets.stop_signal(&identity),
        resume_flag: around.presets.resume_flag(&identity).map(str::to_owned),
        terminate,
        agent: identity,
        calendar: calendar(around, profile.schedule),
    }
}

fn calendar(around: &Surroundings<'_>, schedule: Schedule) -> Calendar {
    let zone = (around.zone)(schedule.timezone.as_deref());
    Calendar::new(schedule, zone)
}
