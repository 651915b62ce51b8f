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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::cgroup::Limits;
    use std::path::Path;

    const BASE: &str = "schema_version = 1\n[agent]\ncommand = [\"claude\"]\nprompt_arg_template = [\"{prompt}\"]\n\
        [prompt]\nfile = \"p.md\"\n[runtime]\nwork_dir = \".\"\nlog_dir = \"/logs\"\n";

    fn policy(more: &str, change: impl FnOnce(&mut Surroundings<'_>)) -> Policy {
        let text = format!("{BASE}{more}");
        let loaded = Config::parse(&text, Path::new("/project/agent-runner.toml"), None).unwrap();
        let mut around = Surroundings {
            max_rounds: None,
            rounds: Rounds::Endless,
            windows: Windows::Honoured,
            presets: &Presets::embedded(),
            zone: |_| TimeZone::UTC,
            limits: &limits::Facts::default(),
        };
        change(&mut around);
        Policy::new(&loaded.config, &around)
    }

    #[test]
    fn an_agent_is_stopped_and_resumed_as_its_preset_says() {
        let base = policy("", |_| {}).base;
        assert_eq!((base.stop_signal, base.grace_s, base.resume_flag), (StopSignal::Int, 10, None));
        let phases = "[phases]\nlist = [\"a\", \"b\"]\n[phases.a.agent]\ncommand = [\"pi\"]\n\
            [phases.b.agent]\ncommand = [\"/opt/other\"]\nsigterm_grace_s = 12";
        let phases = policy(phases, |_| {}).phases;
        assert_eq!(phases[0].resume_flag.as_deref(), Some("--session-id"));
        assert_eq!((phases[1].agent.as_str(), phases[1].grace_s), ("other", 5));
        assert_eq!(phases[1].stop_signal, StopSignal::Term);
    }

    #[test]
    fn the_ceiling_is_the_phases_own_or_the_largest() {
        let phases =
            "round_budget_s = 100\n[phases]\nlist = [\"a\", \"b\"]\n[phases.b]\nround_budget_s = 400";
        let policy = policy(phases, |_| {});
        let ceilings: Vec<_> = policy.phases.iter().map(|phase| phase.ceiling.as_secs()).collect();
        assert_eq!((policy.base.ceiling.as_secs(), ceilings), (595, vec![295, 595]));
    }

    #[test]
    fn the_loop_chooses_the_phase_when_it_may_skip_or_a_phase_has_its_own_schedule() {
        let list = "[phases]\nlist = [\"a\"]\n";
        let skip = format!("{list}phase_policy = \"skip\"\n");
        let own = format!("{list}[phases.a.schedule]\nrun_windows = [\"08:00-10:00\"]\n");
        let ignore = |around: &mut Surroundings<'_>| around.windows = Windows::Ignored;
        assert_eq!(policy("", |_| {}).turns, Turns::Child);
        assert_eq!(policy(list, |_| {}).turns, Turns::Child);
        assert_eq!(policy(&skip, |_| {}).turns, Turns::Skip);
        assert_eq!(policy(&own, |_| {}).turns, Turns::Wait);
        assert_eq!(policy(&skip, ignore).turns, Turns::ChildAnytime);
    }

    #[test]
    fn the_command_line_beats_the_configured_number_of_rounds() {
        let five = "max_rounds = 5\n";
        assert_eq!(policy(five, |_| {}).max_rounds, Some(5));
        assert_eq!(policy(five, |around| around.max_rounds = Some(2)).max_rounds, Some(2));
    }

    #[test]
    fn memory_is_left_to_the_kernel_only_where_it_bounds_the_agent_too() {
        let facts = limits::Facts {
            effective: Limits { max: Some(1), swap_max: Some(0), high: None },
            ram: 2,
            ..limits::Facts::default()
        };
        let terminate = |more: &str| {
            let facts = facts.clone();
            let text = format!("{BASE}{more}");
            let loaded = Config::parse(&text, Path::new("/project/agent-runner.toml"), None).unwrap();
            let around = Surroundings {
                max_rounds: None,
                rounds: Rounds::Endless,
                windows: Windows::Honoured,
                presets: &Presets::embedded(),
                zone: |_| TimeZone::UTC,
                limits: &facts,
            };
            Policy::new(&loaded.config, &around)
        };
        assert_eq!(terminate("").base.terminate, Terminate::LeaveToCgroup);
        let container = "[phases]\nlist = [\"a\"]\n[phases.a.agent]\ncommand = [\"docker\", \"run\", \"x\"]";
        assert_eq!(terminate(container).phases[0].terminate, Terminate::Round);
        let off = "[monitor.host_health.pressure]\nin_round_terminate = false";
        assert_eq!(terminate(off).base.terminate, Terminate::Never);
        assert_eq!(policy("", |_| {}).base.terminate, Terminate::Round);
    }

    #[test]
    fn the_rotation_starts_with_the_phase_whose_turn_it_is() {
        let policy = policy("[phases]\nlist = [\"a\", \"b\", \"c\"]", |_| {});
        let names: Vec<_> = policy.rotation(5).filter_map(|phase| phase.name.as_deref()).collect();
        assert_eq!(names, ["b", "c", "a"]);
    }
}
