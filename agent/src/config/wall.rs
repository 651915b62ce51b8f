//! Time allowances that more than one part depends on: the outer ceiling of a round and the unit's stop time-out.

use super::types::Config;

/// The longest grace between the first signal and KILL, in seconds.
pub const LARGEST_GRACE_S: u64 = 15;

/// What git may take after the agent is gone, in seconds.
pub const COMMIT_S: u64 = 120;

/// What reading the provider's output may take, in seconds.
pub const HOOKS_S: u64 = 60;

/// What lies between the outer ceiling and systemd's KILL, in seconds.
pub const MARGIN_S: u64 = 25;

impl Config {
    /// Returns the seconds after which the Loop ends a round of `phase` whose own wall clock has failed: its budget,
    /// the largest grace, git, reading the output, the goal checks and the critic. When the Loop does not choose the phase, the
    /// largest budget counts.
    pub fn outer_ceiling_s(&self, phase: Option<&str>) -> u64 {
        let Some(name) = phase else {
            return self.after_budget_s(self.largest_budget_s());
        };
        let own = self.phases.overrides.get(name).and_then(|phase| phase.round_budget_s);
        self.after_budget_s(own.unwrap_or(self.runtime.round_budget_s))
    }

    /// Returns the unit's `TimeoutStopSec`: a margin above the largest outer ceiling, so that systemd never kills a
    /// stop that the Loop itself would still finish.
    pub fn stop_timeout_s(&self) -> u64 {
        self.after_budget_s(self.largest_budget_s()) + MARGIN_S
    }

    fn after_budget_s(&self, budget_s: u64) -> u64 {
        budget_s + LARGEST_GRACE_S + COMMIT_S + HOOKS_S + self.goal_allowance_s() + self.critic_allowance_s()
    }
}
