//! What the detectors compare with: the configuration's thresholds and the fixed ones.

use std::collections::BTreeMap;

use crate::config::types::{Config, Disk};
use crate::host;
use crate::provider::Presets;

/// Rounds whose exits are looked at together.
pub const EXITS: usize = 10;
/// Share of the recent exits from which a kind of failure is an alert.
pub const FAILURE_RATE: f64 = 0.2;
/// Share of the recent attempts that may not even start.
pub const SMOKE_RATE: f64 = 0.1;
/// Certain login failures in a row that need no share.
pub const AUTH_IN_A_ROW: usize = 3;
/// An exit after less than this many seconds is a short one.
pub const SHORT_EXIT_S: f64 = 60.0;
/// Budgets after which a round without an end hangs, and a log without events is stale.
pub const PATIENCE: f64 = 1.5;
/// Stashed orphans in a row that are a chain.
pub const ORPHANS_IN_A_ROW: i64 = 3;
/// Rounds in which a repetition counts as recent.
pub const ANOMALY_ROUNDS: i64 = 5;
/// Seconds an announced pause without a readable end may last: eight days.
pub const PAUSE_LIMIT_S: i64 = 8 * 86_400;

/// The configured part.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// The base wall clock of a round in seconds.
    pub budget_s: u64,
    /// Phases with a wall clock of their own, in seconds.
    pub phase_budget_s: BTreeMap<String, u64>,
    /// Disk use and growth.
    pub disk: Disk,
    /// The memory ladder.
    pub memory: host::Thresholds,
    /// What the operator should do about a refused login.
    pub auth_fail_hint: String,
    /// Seconds without events that mean a dead supervisor; 0 is off.
    pub supervisor_stale_s: u64,
}

impl Thresholds {
    /// Returns the thresholds of a configuration. Without a configured staleness it is derived from the *largest*
    /// wall clock, so that a phase with a long one is no false alarm.
    pub fn of(config: &Config) -> Thresholds {
        let health = &config.monitor.host_health;
        let overrides = config.phases.overrides.iter();
        Thresholds {
            budget_s: config.runtime.round_budget_s,
            phase_budget_s: overrides
                .filter_map(|(name, phase)| Some((name.clone(), phase.round_budget_s?)))
                .collect(),
            disk: health.disk.clone(),
            memory: health.into(),
            auth_fail_hint: login_hint(config),
            supervisor_stale_s: config
                .monitor
                .supervisor_stale_threshold_s
                .unwrap_or_else(|| config.largest_budget_s() * 3 / 2),
        }
    }

    /// Returns the wall clock of a phase in seconds; the base one for an unknown phase and for none.
    pub fn budget_of(&self, phase: Option<&str>) -> u64 {
        phase.and_then(|name| self.phase_budget_s.get(name)).copied().unwrap_or(self.budget_s)
    }
}

/// Returns what the configuration says about renewing the login, or else what the agent's preset says.
fn login_hint(config: &Config) -> String {
    let own = &config.monitor.auth_fail_hint;
    if !own.is_empty() {
        return own.clone();
    }
    let presets = Presets::embedded();
    presets.login_hint(config.agent.identity()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn stale_s(more: &str) -> u64 {
        let text = format!(
            "schema_version = 1\n[agent]\ncommand = [\"x\"]\nprompt_arg_template = [\"{{prompt}}\"]\n[runtime]\nwork_dir = \".\"\n\
             log_dir = \"/l\"\nround_timeout_s = 100\n[prompt]\nfile = \"p.md\"\n{more}"
        );
        let loaded = Config::parse(&text, Path::new("/p/agent-runner.toml"), None).unwrap();
        Thresholds::of(&loaded.config).supervisor_stale_s
    }

    #[test]
    fn the_longest_phase_decides_when_a_log_is_stale() {
        assert_eq!(stale_s(""), 150);
        let phases =
            "[phases]\nlist = [\"short\", \"long\"]\n[phases.long.runtime]\nround_timeout_s = 1000\n";
        assert_eq!(stale_s(phases), 1500);
        let asked = format!("{phases}[monitor]\nsupervisor_stale_threshold_s = 7\n");
        assert_eq!(stale_s(&asked), 7);
    }
}
