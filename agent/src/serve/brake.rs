//! The soft brake: under pressure, `memory.high` of our own control group is lowered to what is used now. Pure.

use crate::host::Pressure;
use crate::host::memory::MB;

/// The brake is never pulled below this many bytes.
const TARGET_MIN: u64 = 64 * MB;

/// A group that uses less than this many bytes is not the cause.
const USED_MIN: u64 = 128 * MB;

/// How the brake is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrakePolicy {
    /// Percent below the current use.
    pub step_pct: u64,
    /// Ticks of pressure, and of calm, that count.
    pub samples: u64,
}

/// Our own control group at one tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// `memory.current` in bytes.
    pub current: u64,
    /// `memory.high` as the kernel writes it.
    pub high: String,
}

/// What the brake asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pull {
    /// Nothing.
    Nothing,
    /// Write this many bytes.
    Engage {
        /// The value to write.
        target: u64,
        /// What was there.
        previous: String,
        /// `memory.current` of that tick.
        current: u64,
    },
    /// Write back what was there.
    Release {
        /// The value to write.
        previous: String,
    },
}

/// What the brake remembers of a round.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Brake {
    pressed: u64,
    calm: u64,
    engaged: Option<String>,
    disarmed: bool,
}

impl Brake {
    /// Takes one tick.
    pub fn tick(&mut self, policy: BrakePolicy, pressure: Option<&Pressure>, own: Option<&Own>) -> Pull {
        if pressure.is_some() {
            self.pressed += 1;
            self.calm = 0;
        } else {
            self.calm += 1;
            self.pressed = 0;
        }
        if self.disarmed {
            return Pull::Nothing;
        }
        if self.engaged.is_some() {
            return if self.calm >= policy.samples { self.release() } else { Pull::Nothing };
        }
        match own.filter(|_| self.pressed >= policy.samples).and_then(|own| target(policy, own)) {
            Some((target, own)) => {
                self.engaged = Some(own.high.clone());
                Pull::Engage { target, previous: own.high.clone(), current: own.current }
            }
            None => Pull::Nothing,
        }
    }

    /// Lets go, if it was pulled: at the end of a round, by any path.
    pub fn release(&mut self) -> Pull {
        match self.engaged.take() {
            Some(previous) => Pull::Release { previous },
            None => Pull::Nothing,
        }
    }

    /// Takes a failed write into account: nothing was pulled and nothing will be for the rest of the round.
    pub fn write_failed(&mut self) {
        self.engaged = None;
        self.disarmed = true;
    }
}

fn target(policy: BrakePolicy, own: &Own) -> Option<(u64, &Own)> {
    if own.current < USED_MIN {
        return None;
    }
    let share = 100u64.saturating_sub(policy.step_pct);
    let target = (u128::from(own.current) * u128::from(share) / 100).max(u128::from(TARGET_MIN));
    let target = u64::try_from(target).ok()?;
    let lower_already = own.high.parse::<u64>().is_ok_and(|high| high <= target);
    (!lower_already).then_some((target, own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Severity, Signal};

    const POLICY: BrakePolicy = BrakePolicy { step_pct: 10, samples: 3 };

    fn pressure() -> Pressure {
        Pressure {
            severity: Severity::Warning,
            signal: Signal::Psi,
            message: String::new(),
            context: serde_json::Map::new(),
        }
    }

    fn own(mb: u64, high: &str) -> Own {
        Own { current: mb * MB, high: high.into() }
    }

    fn pull(brake: &mut Brake, own: &Own) -> Pull {
        let pressure = pressure();
        let pulls: Vec<_> = (0..3).map(|_| brake.tick(POLICY, Some(&pressure), Some(own))).collect();
        assert_eq!(pulls[..2], [Pull::Nothing, Pull::Nothing]);
        pulls[2].clone()
    }

    #[test]
    fn three_ticks_of_pressure_pull_and_three_of_calm_let_go() {
        let mut brake = Brake::default();
        let engaged = pull(&mut brake, &own(1000, "max"));
        assert_eq!(engaged, Pull::Engage { target: 900 * MB, previous: "max".into(), current: 1000 * MB });
        assert_eq!(brake.tick(POLICY, Some(&pressure()), Some(&own(900, "x"))), Pull::Nothing);
        for _ in 0..2 {
            assert_eq!(brake.tick(POLICY, None, None), Pull::Nothing);
        }
        assert_eq!(brake.tick(POLICY, None, None), Pull::Release { previous: "max".into() });
        assert_eq!(brake.release(), Pull::Nothing);
    }

    #[test]
    fn it_is_not_pulled_where_it_would_not_help() {
        assert_eq!(pull(&mut Brake::default(), &own(127, "max")), Pull::Nothing);
        let set = (900 * MB).to_string();
        assert_eq!(pull(&mut Brake::default(), &own(1000, &set)), Pull::Nothing);
        let halved = BrakePolicy { step_pct: 50, samples: 1 };
        let pulled = Brake::default().tick(halved, Some(&pressure()), Some(&own(128, "max")));
        assert!(matches!(pulled, Pull::Engage { target, .. } if target == 64 * MB));
    }

    #[test]
    fn a_failed_write_disarms_for_the_rest_of_the_round() {
        let mut brake = Brake::default();
        pull(&mut brake, &own(1000, "max"));
        brake.write_failed();
        assert_eq!(brake.release(), Pull::Nothing);
        for _ in 0..9 {
            assert_eq!(brake.tick(POLICY, Some(&pressure()), Some(&own(1000, "max"))), Pull::Nothing);
        }
    }
}
