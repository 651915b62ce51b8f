//! Memory while a round runs: critical ticks in a row end it, fast growth is told. Pure.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::config::types::Pressure as PressureConfig;
use crate::event::Event;
use crate::host::memory::MB;
use crate::host::{Pressure, Sample, Severity, Thresholds, memory_verdict};

/// Time between two ticks.
pub const TICK: Duration = Duration::from_secs(10);

/// What the floor does about pressure.
#[derive(Debug, Clone, PartialEq)]
pub struct FloorPolicy {
    /// Where pressure begins.
    pub thresholds: Thresholds,
    /// Critical ticks in a row that end a round.
    pub critical_samples: u64,
    /// What they lead to.
    pub terminate: Terminate,
    /// Whether the first of them already sends SIGTERM, once per round.
    pub nudge: Nudge,
    /// MB per minute of growth that warns.
    pub growth_mb_per_min: f64,
}

/// `in_round_terminate`, and the case in which the kernel's limit is relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminate {
    /// The round is ended.
    Round,
    /// The control group bounds memory and swap: it will act.
    LeaveToCgroup,
    /// Nothing happens.
    Never,
}

/// `in_round_nudge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nudge {
    /// SIGTERM at the first critical tick.
    First,
    /// None.
    Never,
}

impl FloorPolicy {
    /// Returns the policy of a configuration; `terminate` as resolved for the round.
    pub fn new(pressure: &PressureConfig, thresholds: Thresholds, terminate: Terminate) -> FloorPolicy {
        FloorPolicy {
            thresholds,
            critical_samples: pressure.critical_consecutive_samples,
            terminate,
            nudge: if pressure.in_round_nudge { Nudge::First } else { Nudge::Never },
            growth_mb_per_min: pressure.cgroup_growth_rate_warning_mb_per_min,
        }
    }
}

/// One look at memory during a round.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tick {
    /// The host.
    pub sample: Sample,
    /// What the round uses, for the growth.
    pub used: Option<Used>,
}

/// The memory one round uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Bytes.
    pub bytes: u64,
    /// Where the number is from.
    pub source: UsedSource,
}

/// Where [`Used`] is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedSource {
    /// `memory.current` of the control group whose limit binds.
    Cgroup,
    /// The sum over the round's processes.
    RssSum,
}

impl UsedSource {
    fn as_str(self) -> &'static str {
        match self {
            UsedSource::Cgroup => "cgroup",
            UsedSource::RssSum => "rss_sum",
        }
    }
}

/// The round a tick belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who {
    /// Its number.
    pub round_num: i64,
    /// The process id of its child.
    pub pid: i32,
}

/// What a tick asks for, beside events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    None,
    /// SIGTERM to the round's leader, without waiting.
    Nudge,
    /// End the round.
    Terminate,
}

/// What a tick means.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaction {
    /// What to do.
    pub demand: Demand,
    /// What to tell.
    pub events: Vec<Event>,
    /// The pressure there is, for the brake.
    pub pressure: Option<Pressure>,
    /// The growth in MB per minute, when it can be told.
    pub rate: Option<f64>,
}

/// What the floor remembers of a round.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Floor {
    previous: Option<(Tick, Duration)>,
    streak: u64,
    nudged: bool,
    left_to_cgroup: bool,
    growing: bool,
}

impl Floor {
    /// Takes one tick; `at` is monotonic.
    pub fn tick(&mut self, policy: &FloorPolicy, who: Who, tick: Tick, at: Duration) -> Reaction {
        let previous = self.previous.map(|(tick, _)| tick.sample);
        let pressure = memory_verdict(previous.as_ref(), &tick.sample, &policy.thresholds);
        let rate = self.rate(&tick, at);
        let mut events = Vec::new();
        let demand = match pressure.as_ref().filter(|pressure| pressure.severity == Severity::Critical) {
            Some(pressure) => self.critical(policy, who, pressure, &mut events),
            None => {
                self.streak = 0;
                self.left_to_cgroup = false;
                Demand::None
            }
        };
        events.extend(self.growth(policy, who, rate, tick.used));
        self.previous = Some((tick, at));
        Reaction { demand, events, pressure, rate }
    }

    fn critical(
        &mut self,
        policy: &FloorPolicy,
        who: Who,
        pressure: &Pressure,
        events: &mut Vec<Event>,
    ) -> Demand {
        self.streak += 1;
        let consecutive = i64::try_from(self.streak).unwrap_or(i64::MAX);
        if self.streak <= policy.critical_samples.saturating_mul(2) {
            let (round_num, context) = (who.round_num, pressure.context.clone());
            events.push(Event::RoundMemCriticalSample { round_num, consecutive, context });
        }
        let terminated = |tier: &str| Event::RoundMemTerminated {
            pid: i64::from(who.pid),
            severity: pressure.severity.as_str().into(),
            signal: pressure.signal.as_str().into(),
            message: pressure.message.clone(),
            consecutive,
            context: pressure.context.clone(),
            tier: tier.into(),
        };
        let reached = self.streak >= policy.critical_samples;
        match policy.terminate {
            Terminate::Round if reached => {
                events.push(terminated("terminate"));
                Demand::Terminate
            }
            Terminate::Round if policy.nudge == Nudge::First && !self.nudged => {
                self.nudged = true;
                events.push(terminated("nudge"));
                Demand::Nudge
            }
            Terminate::LeaveToCgroup if reached && !self.left_to_cgroup => {
                self.left_to_cgroup = true;
                events.push(Event::MemPressureDeferredToCgroup {
                    pid: i64::from(who.pid),
                    signal: pressure.signal.as_str().into(),
                    message: pressure.message.clone(),
                });
                Demand::None
            }
            Terminate::Round | Terminate::LeaveToCgroup | Terminate::Never => Demand::None,
        }
    }

    /// Returns the growth since the last tick in MB per minute; `None` without two figures of one source.
    fn rate(&self, tick: &Tick, at: Duration) -> Option<f64> {
        let (previous, then) = self.previous?;
        let (before, now) = (previous.used?, tick.used?);
        let minutes = at.checked_sub(then)?.as_secs_f64() / 60.0;
        (before.source == now.source && minutes > 0.0)
            .then(|| (now.bytes as f64 - before.bytes as f64) / MB as f64 / minutes)
    }

    fn growth(
        &mut self,
        policy: &FloorPolicy,
        who: Who,
        rate: Option<f64>,
        used: Option<Used>,
    ) -> Option<Event> {
        let threshold = policy.growth_mb_per_min;
        let was_growing = std::mem::replace(&mut self.growing, rate.is_some_and(|rate| rate >= threshold));
        let rate = rate.filter(|_| self.growing && !was_growing)?;
        let context: Map<String, Value> = [("rate_mb_per_min", rate), ("threshold_mb_per_min", threshold)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        Some(Event::CgroupGrowthRateWarning {
            round_num: who.round_num,
            rate_mb_per_min: rate,
            threshold_mb_per_min: threshold,
            source: used?.source.as_str().into(),
            context,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: Who = Who { round_num: 7, pid: 4242 };

    fn policy(terminate: Terminate, nudge: Nudge) -> FloorPolicy {
        FloorPolicy {
            thresholds: Thresholds::EXAMPLE,
            critical_samples: 3,
            terminate,
            nudge,
            growth_mb_per_min: 512.0,
        }
    }

    fn full(full: f64) -> Tick {
        let sample = Sample { some_avg10: Some(full), full_avg10: Some(full), ..Sample::default() };
        Tick { sample, used: None }
    }

    /// Feeds ticks ten seconds apart and returns, per tick, the demand and the kinds told.
    fn run(policy: &FloorPolicy, ticks: &[Tick]) -> Vec<(Demand, Vec<&'static str>)> {
        let mut floor = Floor::default();
        let feed = |(index, tick): (u32, &Tick)| {
            let reaction = floor.tick(policy, WHO, *tick, TICK * index);
            (reaction.demand, reaction.events.iter().map(Event::kind).collect())
        };
        (0..).zip(ticks).map(feed).collect()
    }

    const SAMPLE: &str = "round_mem_critical_sample";
    const ENDED: &str = "round_mem_terminated";

    #[test]
    fn three_critical_ticks_in_a_row_end_the_round() {
        let seen = run(
            &policy(Terminate::Round, Nudge::Never),
            &[full(70.0), full(70.0), full(1.0), full(70.0), full(70.0), full(70.0)],
        );
        let demands: Vec<_> = seen.iter().map(|(demand, _)| *demand).collect();
        assert_eq!(demands[..5], [Demand::None; 5]);
        assert_eq!(seen[5], (Demand::Terminate, vec![SAMPLE, ENDED]));
    }

    #[test]
    fn the_first_critical_tick_nudges_once_per_round() {
        let nudging = policy(Terminate::Round, Nudge::First);
        let seen = run(&nudging, &[full(70.0), full(1.0), full(70.0), full(70.0), full(70.0)]);
        assert_eq!(seen[0], (Demand::Nudge, vec![SAMPLE, ENDED]));
        assert_eq!(seen[2], (Demand::None, vec![SAMPLE]));
        assert_eq!(seen[4].0, Demand::Terminate);
        let left = run(&policy(Terminate::LeaveToCgroup, Nudge::First), &[full(70.0)]);
        assert_eq!(left[0], (Demand::None, vec![SAMPLE]));
    }

    #[test]
    fn a_bounded_group_is_left_to_the_kernel_and_told_once_per_episode() {
        let left = policy(Terminate::LeaveToCgroup, Nudge::Never);
        let ticks = [[full(70.0); 5].as_slice(), &[full(0.0)], &[full(70.0); 3]].concat();
        let seen = run(&left, &ticks);
        let told: Vec<_> =
            seen.iter().map(|(_, kinds)| kinds.contains(&"mem_pressure_deferred_to_cgroup")).collect();
        assert_eq!(told, [false, false, true, false, false, false, false, false, true]);
    }

    #[test]
    fn samples_are_told_up_to_twice_the_limit() {
        let seen = run(&policy(Terminate::Never, Nudge::First), &[full(70.0); 9]);
        let told = seen.iter().filter(|(_, kinds)| kinds == &[SAMPLE]).count();
        assert_eq!(told, 6);
        assert!(seen.iter().all(|(demand, _)| *demand == Demand::None));
    }

    #[test]
    fn growth_is_told_once_per_crossing() {
        let used =
            |mb: u64| Tick { used: Some(Used { bytes: mb * MB, source: UsedSource::RssSum }), ..full(0.0) };
        let seen = run(
            &policy(Terminate::Round, Nudge::Never),
            &[used(0), used(85), used(171), used(257), used(257), used(343)],
        );
        let told: Vec<_> = seen.iter().map(|(_, kinds)| kinds.len()).collect();
        assert_eq!(told, [0, 0, 1, 0, 0, 1]);
    }
}
