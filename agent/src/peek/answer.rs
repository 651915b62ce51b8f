//! What `peek --json` prints: keys and their order are contract (schema 2.6), new ones come at the end.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::defenses::Defense;
use crate::store::orphan_state::OrphanState;
use crate::witness::alert::{Alert, Blindness};

/// The schema of [`Answer`].
pub const SCHEMA_VERSION: &str = "2.6";

/// One look.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// [`SCHEMA_VERSION`].
    pub schema_version: String,
    /// How agents' output is read, and how they are stopped.
    pub plugins: Plugins,
    /// The project's name.
    pub project: String,
    /// status.json with `running` as it really is; empty when there is none.
    pub status: Map<String, Value>,
    /// What protects this project.
    pub defenses: Vec<Defense>,
    /// The round asked for.
    pub current_round: Option<Round>,
    /// The newest rounds, the newest last.
    pub recent_rounds: Vec<RecentRound>,
    /// Work that a round left behind and nobody has claimed.
    pub orphan: Option<OrphanState>,
    /// The host, as of the newest sample.
    pub system: System,
    /// The service, with the throttle in force.
    pub service: Map<String, Value>,
    /// The newest events, as many as asked for.
    pub recent_events: Vec<Value>,
    /// The newest `hook_failed`.
    pub recent_hook_failures: Vec<Value>,
    /// The newest `agent_network_blip`.
    pub recent_blips: Vec<Value>,
    /// The newest `cgroup_growth_rate_warning`.
    pub recent_cgroup_growth_warnings: Vec<Value>,
    /// The pause in force.
    pub schedule: Option<Schedule>,
    /// The soft memory brake.
    pub brake: String,
    /// The alerts that hold now.
    pub alerts: Vec<Alert>,
    /// The newest `critic_finding`.
    pub critic_findings: Vec<Value>,
    /// The round in progress.
    pub running: Option<Running>,
    /// Why the Loop ended, when it does not run and something is on record since its last round.
    pub ended: Option<Ended>,
    /// The detectors that cannot judge now: of what they look for nobody knows.
    pub cannot_judge: Vec<Blindness>,
}

/// Why the Loop ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// When.
    pub ts: String,
    /// The event that tells.
    pub event: String,
    /// What it says: its reason, or the detector that had it stopped.
    pub reason: Option<String>,
}

/// The round in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    /// Its number.
    pub round_num: i64,
    /// Its phase.
    pub phase: Option<String>,
    /// When it started.
    pub started_at: String,
    /// Seconds since then.
    pub elapsed_s: i64,
    /// Its wall clock in seconds.
    pub budget_s: u64,
}

/// How agents' output is read, and how they are stopped.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plugins {
    /// The parsers that run after a round.
    pub post_round_hooks: Vec<String>,
    /// Those switched off.
    pub disabled: Vec<String>,
    /// Agents with a first signal of their own.
    pub cooperative_stop: BTreeMap<String, String>,
    /// Seconds between the first signal and KILL for this project's agent.
    pub resolved_sigterm_grace_s: u64,
}

/// One round in detail.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Round {
    /// Its number.
    pub round_num: i64,
    /// Its phase.
    pub phase: Option<String>,
    /// When it started.
    pub started_at: String,
    /// Seconds it has run, or ran.
    pub duration_so_far_s: Option<f64>,
    /// The agent's process, while it runs.
    pub pid: Option<i32>,
    /// The agent's code.
    pub exit_code: Option<i64>,
    /// Whether the wall clock ended it.
    pub timed_out: Option<bool>,
    /// The agent's log.
    pub log_path: String,
    /// Its last lines, when asked for.
    pub log_tail: Option<String>,
    /// The round's events.
    pub recent_events: Vec<Value>,
}

/// One of the newest rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecentRound {
    /// Its number.
    pub round_num: i64,
    /// Its phase.
    pub phase: Option<String>,
    /// When it started.
    pub started_at: Option<String>,
    /// When it ended; none for one that runs or was interrupted.
    pub ended_at: Option<String>,
    /// The agent's code.
    pub exit_code: Option<i64>,
    /// Seconds the agent ran.
    pub duration_s: Option<f64>,
    /// Whether the wall clock ended it.
    pub timed_out: Option<bool>,
    /// How it ended.
    pub exit_cause: Option<String>,
}

/// The host, as of the newest sample; zeros and nulls when there is none.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct System {
    /// Memory.
    pub mem_total_mb: i64,
    /// Memory that can be had without swapping.
    pub mem_available_mb: i64,
    /// Percent of the log dir's disk in use.
    pub disk_used_pct: f64,
    /// Free space on it.
    pub disk_free_gb: f64,
    /// Load average over a minute.
    pub load_1m: Option<f64>,
    /// Busy share of all processors.
    pub cpu_pct: Option<f64>,
    /// Processes with the agent's name.
    pub agent_process_count: i64,
}

/// The pause in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Schedule {
    /// Always true: without a pause there is no such object.
    pub paused: bool,
    /// When it is meant to end.
    pub resume_at: Option<String>,
    /// The window that shut it.
    pub active_window: Option<String>,
    /// The phase it waits for.
    pub phase: Option<String>,
}

/// The throttle in force, inside `service`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateLimit {
    /// When it is over, in seconds since the epoch.
    pub throttled_until_epoch: i64,
    /// What the provider calls it.
    pub limit_type: String,
    /// The agent.
    pub agent: String,
    /// The round that met it.
    pub since_round: Option<i64>,
    /// That round's phase, or empty.
    pub phase: String,
    /// All throttled agents.
    pub throttled_agents: Vec<String>,
}
