//! The validated configuration. Every path is absolute, every number in range, every pattern compiles.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// One loaded `agent-runner.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file it was read from, absolute.
    pub path: PathBuf,
    /// The agent CLI.
    pub agent: Agent,
    /// Directories, ceilings and the Loop's triggers.
    pub runtime: Runtime,
    /// Where the prompt comes from.
    pub prompt: Prompt,
    /// What happens to a dirty work tree.
    pub vcs: Vcs,
    /// The Witness and its thresholds.
    pub monitor: Monitor,
    /// The rotation.
    pub phases: Phases,
    /// When rounds may run.
    pub schedule: Schedule,
    /// Goal checks, when there is a `[goal]`.
    pub goal: Option<Goal>,
    /// Provider parsers switched off, by preset name.
    pub disabled_plugins: Vec<String>,
    /// How long logs are kept.
    pub retention: Retention,
    /// The critic, when there is a `[critic]`.
    pub critic: Option<Critic>,
}

/// `[agent]`: how to start the agent CLI.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// Arguments after the command; `{prompt}` is replaced in argv delivery.
    pub prompt_arg_template: Vec<String>,
    /// A cosmetic name.
    pub name: Option<String>,
    /// Added to the agent's environment, and winning over the supervisor's.
    pub env: BTreeMap<String, String>,
    /// How the prompt reaches the agent.
    pub prompt_delivery: Delivery,
    /// Goes before the command; `{work_dir}` is replaced.
    pub exec_prefix: Vec<String>,
    /// Bytes in the agent's output that mean it has printed its result; empty switches the scan off.
    pub terminal_marker: String,
    /// Seconds an agent with a cooperative stop gets before KILL, 1 to 12.
    pub sigterm_grace_s: u64,
}

impl Agent {
    /// Returns the agent's identity everywhere: the base name of the command's first word.
    pub fn identity(&self) -> &str {
        let program = self.command.first().map_or("", String::as_str);
        program.rsplit('/').next().unwrap_or(program)
    }
}

/// `agent.prompt_delivery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The prompt is an argument.
    Argv,
    /// The prompt is written to stdin.
    Stdin,
}

/// `[runtime]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Runtime {
    /// The git work tree the agent works in, absolute and resolved.
    pub work_dir: PathBuf,
    /// The log dir, absolute.
    pub log_dir: PathBuf,
    /// Wall clock of one round in seconds.
    pub round_budget_s: u64,
    /// Seconds between rounds.
    pub restart_delay_s: u64,
    /// Round logs kept per family; 0 keeps all.
    pub round_log_retention: u64,
    /// What the HTTP page shows as narrative.
    pub narrative_file: Option<PathBuf>,
    /// What the Loop does about a provider's transient error.
    pub transient_error_action: TransientErrorAction,
    /// The Loop ends after this many rounds.
    pub max_rounds: Option<u64>,
    /// The Loop ends when this file exists.
    pub stop_file: Option<PathBuf>,
    /// Globs below work_dir whose content is fingerprinted around every round.
    pub substrate_fingerprint_paths: Vec<String>,
    /// Every n-th round starts with fresh eyes.
    pub fresh_eyes_every_n: Option<u64>,
    /// Goal checks are named, not run.
    pub dry_run: bool,
    /// Seconds an agent may stay after its terminal marker; 0 switches the grace off.
    pub max_grace_after_result_s: u64,
    /// Regexes of child command lines that do not extend the grace.
    pub grace_kill_ignore_patterns: Vec<String>,
}

/// `runtime.transient_error_action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransientErrorAction {
    /// Sleep until the reset.
    BackOff,
    /// Run anyway.
    Skip,
    /// End the Loop.
    Stop,
}

/// `[prompt]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// `file` as one, or `files`; absolute.
    pub files: Vec<PathBuf>,
    /// Whether the round context goes to the agent at all.
    pub inject_context: bool,
    /// Where the round context goes.
    pub context_injection_mode: ContextMode,
    /// What joins the files.
    pub concat_separator: String,
    /// Whether the first file loses its YAML front matter.
    pub strip_yaml_frontmatter: bool,
}

/// `prompt.context_injection_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextMode {
    /// A fenced block before the prompt.
    Prepend,
    /// Only round-context.json.
    File,
    /// Nothing (the file is written all the same).
    None,
}

/// `[vcs]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Vcs {
    /// What happens to a dirty tree after a round.
    pub dirty_action: DirtyAction,
    /// Seconds within which a stash of the same round is reused.
    pub stash_idempotency_s: u64,
}

/// `vcs.dirty_action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirtyAction {
    /// Stash it, identified by SHA.
    Stash,
    /// Leave it.
    Ignore,
    /// Commit it.
    AutoCommit,
}

impl DirtyAction {
    /// Returns the configuration's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            DirtyAction::Stash => "stash",
            DirtyAction::Ignore => "ignore",
            DirtyAction::AutoCommit => "auto_commit",
        }
    }
}

/// `[monitor]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// Regexes that mean a refused login in a short round's log.
    pub auth_fail_patterns: Vec<String>,
    /// What the operator should do about a refused login.
    pub auth_fail_hint: String,
    /// Detectors that may stop the service.
    pub auto_stop_on: Vec<String>,
    /// Seconds a relayed link may be down; 0 never retries.
    pub remote_failure_tolerance_s: u64,
    /// Tool calls looked at together; 0 is off.
    pub anomaly_repetitive_window: u64,
    /// Equal tool calls within the window that are an anomaly; 0 is off.
    pub anomaly_repetitive_threshold: u64,
    /// Seconds between `round_progress` events; 0 is off.
    pub round_progress_interval_s: u64,
    /// Seconds without events that mean a dead supervisor; `None` is 1.5 budgets, 0 is off.
    pub supervisor_stale_threshold_s: Option<u64>,
    /// `[monitor.host_health]`.
    pub host_health: HostHealth,
}

/// `[monitor.host_health]`.
#[derive(Debug, Clone, PartialEq)]
pub struct HostHealth {
    /// `.disk`
    pub disk: Disk,
    /// `.memory`
    pub memory: Memory,
    /// `.pressure`
    pub pressure: Pressure,
    /// `.brake`
    pub brake: Brake,
}

/// `[monitor.host_health.disk]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Disk {
    /// Percent used that warns.
    pub warning_pct: f64,
    /// Percent used that stops.
    pub critical_pct: f64,
    /// Seconds over which growth is measured.
    pub growth_window_s: u64,
    /// Percent per hour of space.
    pub disk_growth_pct_per_hr_warning: f64,
    /// Percent per hour of inodes.
    pub inode_growth_pct_per_hr_warning: f64,
}

/// `[monitor.host_health.memory]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// MemAvailable in MB below which memory is low.
    pub avail_min_mb: u64,
    /// MemFree in MB below which memory is low.
    pub free_low_mb: u64,
    /// Swapped-out MiB between two samples that are noise.
    pub swap_out_noise_floor_mb: u64,
}

/// `[monitor.host_health.pressure]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pressure {
    /// PSI full avg10 that is critical, in percent.
    pub full_avg10_critical: f64,
    /// PSI some avg10 that warns, in percent.
    pub some_avg10_warning: f64,
    /// Critical ticks in a row that end a round.
    pub critical_consecutive_samples: u64,
    /// Whether they do.
    pub in_round_terminate: bool,
    /// Whether the first one already sends SIGTERM.
    pub in_round_nudge: bool,
    /// MB per minute of growth that warns.
    pub cgroup_growth_rate_warning_mb_per_min: f64,
}

/// `[monitor.host_health.brake]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Brake {
    /// Whether `memory.high` is written at all.
    pub memory_high: bool,
    /// Percent below the current use, 0 to 50.
    pub memory_high_step_pct: u64,
    /// Ticks of pressure, and of calm, that count.
    pub warning_consecutive_samples: u64,
}

/// `[phases]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Phases {
    /// The rotation; empty without phases.
    pub list: Vec<String>,
    /// What happens when the phase whose turn it is cannot run.
    pub policy: PhasePolicy,
    /// `[phases.<name>]`.
    pub overrides: BTreeMap<String, PhaseOverride>,
}

/// `phases.phase_policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhasePolicy {
    /// Wait for it.
    Wait,
    /// Step over it.
    Skip,
}

/// `[phases.<name>]`: what differs from the base.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PhaseOverride {
    /// The phase's own wall clock in seconds.
    pub round_budget_s: Option<u64>,
    /// The phase's own prompt files, absolute.
    pub prompt_files: Option<Vec<PathBuf>>,
    /// The base agent with the phase's keys merged over it.
    pub agent: Option<Agent>,
    /// The phase's own schedule, replacing the global one but for an inherited time zone.
    pub schedule: Option<Schedule>,
}

/// `[schedule]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schedule {
    /// IANA name; `None` is the host's zone.
    pub timezone: Option<String>,
    /// Rounds may start inside these; empty is always.
    pub run_windows: Vec<super::window::Window>,
    /// Rounds may not start inside these.
    pub pause_windows: Vec<super::window::Window>,
}

/// `[goal]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// The ledger file, absolute.
    pub ledger: PathBuf,
    /// `[[goal.checks]]`.
    pub checks: Vec<GoalCheck>,
}

/// One of `[[goal.checks]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct GoalCheck {
    /// Its name in events.
    pub name: String,
    /// The command; never empty.
    pub cmd: Vec<String>,
    /// Where it runs, absolute.
    pub cwd: PathBuf,
    /// Seconds, 1 to 30.
    pub timeout_s: u64,
}

/// `[retention]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Retention {
    /// Months of event files kept; `None` keeps all.
    pub events_months: Option<u64>,
    /// Months of metrics files kept; `None` keeps all.
    pub metrics_months: Option<u64>,
}

/// `[critic]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Critic {
    /// The command; never empty.
    pub command: Vec<String>,
    /// Runs after every n-th round.
    pub every_n: u64,
    /// Seconds it may take.
    pub timeout_s: u64,
}

/// What one round runs with: the base, with one phase's overrides applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The phase, when there are phases.
    pub phase: Option<String>,
    /// The effective agent.
    pub agent: Agent,
    /// The effective wall clock in seconds.
    pub round_budget_s: u64,
    /// The effective prompt files.
    pub prompt_files: Vec<PathBuf>,
    /// The effective schedule.
    pub schedule: Schedule,
}

impl Config {
    /// Returns what a round of `phase` runs with; a name that is not in the list is the base.
    pub fn profile(&self, phase: Option<&str>) -> Profile {
        let own = phase.and_then(|name| self.phases.overrides.get(name)).cloned().unwrap_or_default();
        Profile {
            phase: phase.map(str::to_owned),
            agent: own.agent.unwrap_or_else(|| self.agent.clone()),
            round_budget_s: own.round_budget_s.unwrap_or(self.runtime.round_budget_s),
            prompt_files: own.prompt_files.unwrap_or_else(|| self.prompt.files.clone()),
            schedule: own.schedule.unwrap_or_else(|| self.schedule.clone()),
        }
    }

    /// Returns the phase of a round by rotation, when there are phases.
    pub fn rotation(&self, round_num: i64) -> Option<&str> {
        let length = i64::try_from(self.phases.list.len()).ok().filter(|&length| length > 0)?;
        let index = usize::try_from((round_num - 1).rem_euclid(length)).ok()?;
        self.phases.list.get(index).map(String::as_str)
    }

    /// Returns the largest wall clock of the base and all phases, in seconds.
    pub fn largest_budget_s(&self) -> u64 {
        let phases = self.phases.overrides.values().filter_map(|phase| phase.round_budget_s);
        phases.chain([self.runtime.round_budget_s]).max().unwrap_or(self.runtime.round_budget_s)
    }

    /// Returns what the goal checks may add to a round: their time-outs plus 6 s each.
    pub fn goal_allowance_s(&self) -> u64 {
        self.goal.iter().flat_map(|goal| &goal.checks).map(|check| check.timeout_s + 6).sum()
    }

    /// Returns what the critic may add to a round: its time-out plus 10 s to end it and what it left.
    pub fn critic_allowance_s(&self) -> u64 {
        self.critic.as_ref().map_or(0, |critic| critic.timeout_s + 10)
    }

    /// Returns the project's name: the base name of the folder holding the file.
    pub fn project(&self) -> &str {
        self.path.parent().and_then(|dir| dir.file_name()).and_then(|name| name.to_str()).unwrap_or("")
    }
}
