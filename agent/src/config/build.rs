//! From checked sections to the types: paths become absolute, and rules that span several keys are checked.

use std::path::{Path, PathBuf};

use super::agent;
use super::load::Outside;
use super::paths::Site;
use super::phases;
use super::schema::Alias;
use super::section::Section;
use super::source::Problem;
use super::types::{
    Brake, Config, ContextMode, Critic, DirtyAction, Disk, Goal, GoalCheck, HostHealth, Memory, Monitor,
    Pressure, Prompt, Retention, Runtime, TransientErrorAction, Vcs,
};
use crate::provider::Presets;

/// What was found while building.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

impl Notes {
    /// Adds a problem at a place.
    pub(super) fn refuse(&mut self, span: std::ops::Range<usize>, message: impl Into<String>) {
        self.problems.push(Problem::new(span, message));
    }
}

/// Builds the configuration; `None` when required tables are missing, which has been told.
pub(super) fn config(
    root: &Section,
    path: &Path,
    outside: &Outside<'_>,
    notes: &mut Notes,
) -> Option<Config> {
    warn_of_old_spellings(root, notes);
    let runtime = root.given("runtime")?;
    let agent = root.given("agent")?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let mut site = Site { home: outside.home, resolve: outside.resolve, base: folder, project: None };
    let work_dir = absolute(runtime, "work_dir", &site, notes)?;
    site.project =
        Some(work_dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()));
    site.base = work_dir.clone();
    let log_dir = absolute(runtime, "log_dir", &site, notes)?;

    let agent = agent::agent(agent, notes);
    let prompt = prompt(&root.section("prompt"), &site, notes);
    let schedule = phases::schedule(&root.section("schedule"), outside, notes);
    let base = phases::Base { agent: root.given("agent")?, schedule: &schedule, site: &site, outside };
    let phases = phases::phases(&root.section("phases"), &base, notes);
    let mut config = Config {
        path: path.to_owned(),
        agent,
        runtime: self::runtime(runtime, (work_dir, log_dir), &site, notes),
        prompt,
        vcs: vcs(&root.section("vcs")),
        monitor: monitor(&root.section("monitor"), notes),
        phases,
        schedule,
        goal: None,
        disabled_plugins: root.section("plugins").texts("disable"),
        retention: retention(&root.section("retention")),
        critic: root.given("critic").map(critic),
    };
    warn_of_unknown_plugins(&config.disabled_plugins, notes);
    if let Some(section) = root.given("goal") {
        config.goal = goal(section, &site, notes);
        check_ledger(&config, section, notes);
    }
    if config.goal_allowance_s() >= 30 {
        let text = format!("the goal checks may add {} s to every round", config.goal_allowance_s());
        notes.warnings.push(text);
    }
    Some(config)
}

fn warn_of_old_spellings(section: &Section, notes: &mut Notes) {
    for (name, found) in &section.values {
        let key = section.table.find(name);
        if key
            .and_then(|key| key.alias)
            .is_some_and(|alias| alias == Alias::Old(alias.name()) && alias.name() == found.spelled)
        {
            let table = section.table;
            notes.warnings.push(format!(
                "`{}` is the old spelling of `{}`; `agent-runner migrate` rewrites it",
                table.dotted(&found.spelled),
                table.dotted(name)
            ));
        }
    }
    section.tables.values().for_each(|below| warn_of_old_spellings(below, notes));
}

fn warn_of_unknown_plugins(disabled: &[String], notes: &mut Notes) {
    let presets = Presets::embedded();
    for name in disabled.iter().filter(|name| presets.get(name).is_none()) {
        notes.warnings.push(format!("`plugins.disable`: the program has no preset called `{name}`"));
    }
}

/// Returns a key's path, absolute.
pub(super) fn absolute(section: &Section, key: &str, site: &Site<'_>, notes: &mut Notes) -> Option<PathBuf> {
    let text = section.text(key)?;
    match site.absolute(&text) {
        Ok(path) => Some(path),
        Err(why) => {
            notes.refuse(section.place(key), format!("`{}`: {why}", section.table.dotted(key)));
            None
        }
    }
}

/// Returns a key's list of paths, absolute.
pub(super) fn absolute_all(section: &Section, key: &str, site: &Site<'_>, notes: &mut Notes) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for text in section.texts(key) {
        match site.absolute(&text) {
            Ok(path) => paths.push(path),
            Err(why) => notes.refuse(section.place(key), format!("`{}`: {why}", section.table.dotted(key))),
        }
    }
    paths
}

fn runtime(section: &Section, dirs: (PathBuf, PathBuf), site: &Site<'_>, notes: &mut Notes) -> Runtime {
    let (work_dir, log_dir) = dirs;
    let narrative = absolute(section, "narrative_file", site, notes);
    Runtime {
        narrative_file: Some(narrative.unwrap_or_else(|| log_dir.join("narrative.md"))),
        work_dir,
        log_dir,
        round_budget_s: section.number("round_timeout_s"),
        restart_delay_s: section.number("restart_delay_s"),
        round_log_retention: section.number("round_log_retention"),
        transient_error_action: match section.text("transient_error_action").as_deref() {
            Some("skip") => TransientErrorAction::Skip,
            Some("stop") => TransientErrorAction::Stop,
            Some(_) | None => TransientErrorAction::BackOff,
        },
        max_rounds: section.int("max_rounds"),
        stop_file: absolute(section, "stop_file", site, notes),
        substrate_fingerprint_paths: section.texts("substrate_fingerprint_paths"),
        fresh_eyes_every_n: section.int("fresh_eyes_every_n"),
        dry_run: section.bool("dry_run"),
        max_grace_after_result_s: section.number("max_grace_after_result_s"),
        grace_kill_ignore_patterns: section.texts("grace_kill_ignore_patterns"),
    }
}

fn prompt(section: &Section, site: &Site<'_>, notes: &mut Notes) -> Prompt {
    let told = notes.problems.iter().any(|problem| problem.message.contains("`prompt."));
    let files = match (section.has("file"), section.has("files")) {
        (true, false) => absolute(section, "file", site, notes).into_iter().collect(),
        (false, true) => absolute_all(section, "files", site, notes),
        (true, true) => {
            notes.refuse(
                section.place("files"),
                "`prompt.file` and `prompt.files` are both set; keep one of them",
            );
            Vec::new()
        }
        (false, false) => {
            if !told {
                let message = "a prompt is missing: set `file` or `files` in [prompt]";
                notes.refuse(section.span.clone(), message);
            }
            Vec::new()
        }
    };
    Prompt {
        files,
        inject_context: section.bool("inject_context"),
        context_injection_mode: match section.text("context_injection_mode").as_deref() {
            Some("file") => ContextMode::File,
            Some("none") => ContextMode::None,
            Some(_) | None => ContextMode::Prepend,
        },
        concat_separator: section.text("concat_separator").unwrap_or_default(),
        strip_yaml_frontmatter: section.bool("strip_yaml_frontmatter"),
    }
}

fn vcs(section: &Section) -> Vcs {
    Vcs {
        dirty_action: match section.text("dirty_action").as_deref() {
            Some("ignore") => DirtyAction::Ignore,
            Some("auto_commit") => DirtyAction::AutoCommit,
            Some(_) | None => DirtyAction::Stash,
        },
        stash_idempotency_s: section.number("stash_idempotency_s"),
    }
}

fn monitor(section: &Section, notes: &mut Notes) -> Monitor {
    let auto_stop_on = section.texts("auto_stop_on");
    if let Some(name) = auto_stop_on.iter().find(|name| name.starts_with("goal")) {
        let message = format!("`monitor.auto_stop_on`: `{name}` is advisory and cannot stop the service");
        notes.refuse(section.place("auto_stop_on"), message);
    }
    let window = section.number("anomaly_repetitive_window");
    let threshold = section.number("anomaly_repetitive_threshold");
    if window > 0 && threshold > window {
        let message = format!(
            "`monitor.anomaly_repetitive_threshold` {threshold} can never be reached in a window of {window}"
        );
        notes.refuse(section.place("anomaly_repetitive_threshold"), message);
    }
    Monitor {
        auth_fail_patterns: section.texts("auth_fail_patterns"),
        auth_fail_hint: section.text("auth_fail_hint").unwrap_or_default(),
        auto_stop_on,
        remote_failure_tolerance_s: section.number("remote_failure_tolerance_s"),
        anomaly_repetitive_window: window,
        anomaly_repetitive_threshold: threshold,
        round_progress_interval_s: section.number("round_progress_interval_s"),
        supervisor_stale_threshold_s: section.int("supervisor_stale_threshold_s"),
        host_health: host_health(&section.section("host_health")),
    }
}

fn host_health(section: &Section) -> HostHealth {
    let (disk, memory) = (section.section("disk"), section.section("memory"));
    let (pressure, brake) = (section.section("pressure"), section.section("brake"));
    HostHealth {
        disk: Disk {
            warning_pct: disk.float("warning_pct"),
            critical_pct: disk.float("critical_pct"),
            growth_window_s: disk.number("growth_window_s"),
            disk_growth_pct_per_hr_warning: disk.float("disk_growth_pct_per_hr_warning"),
            inode_growth_pct_per_hr_warning: disk.float("inode_growth_pct_per_hr_warning"),
        },
        memory: Memory {
            avail_min_mb: memory.number("avail_min_mb"),
            free_low_mb: memory.number("free_low_mb"),
            swap_out_noise_floor_mb: memory.number("swap_out_noise_floor_mb"),
        },
        pressure: Pressure {
            full_avg10_critical: pressure.float("full_avg10_critical"),
            some_avg10_warning: pressure.float("some_avg10_warning"),
            critical_consecutive_samples: pressure.number("critical_consecutive_samples"),
            in_round_terminate: pressure.bool("in_round_terminate"),
            in_round_nudge: pressure.bool("in_round_nudge"),
            cgroup_growth_rate_warning_mb_per_min: pressure.float("cgroup_growth_rate_warning_mb_per_min"),
        },
        brake: Brake {
            memory_high: brake.bool("memory_high"),
            memory_high_step_pct: brake.number("memory_high_step_pct"),
            warning_consecutive_samples: brake.number("warning_consecutive_samples"),
        },
    }
}

fn retention(section: &Section) -> Retention {
    Retention { events_months: section.int("events_months"), metrics_months: section.int("metrics_months") }
}

fn critic(section: &Section) -> Critic {
    Critic {
        command: section.texts("command"),
        every_n: section.number("every_n"),
        timeout_s: section.number("timeout_s"),
    }
}

fn goal(section: &Section, site: &Site<'_>, notes: &mut Notes) -> Option<Goal> {
    let ledger = absolute(section, "ledger", site, notes)?;
    let rows = section.rows.get("checks").map_or(&[][..], Vec::as_slice);
    let checks = rows.iter().map(|row| GoalCheck {
        name: row.text("name").unwrap_or_default(),
        cmd: row.texts("cmd"),
        cwd: absolute(row, "cwd", site, notes).unwrap_or_else(|| site.base.clone()),
        timeout_s: row.number("timeout_s"),
    });
    Some(Goal { ledger, checks: checks.collect() })
}

/// The ledger must reach the agent in every phase, and must survive the stash.
fn check_ledger(config: &Config, section: &Section, notes: &mut Notes) {
    let Some(goal) = &config.goal else { return };
    let ledger = &goal.ledger;
    if ledger.starts_with(&config.runtime.work_dir) && !ledger.starts_with(&config.runtime.log_dir) {
        let message = "`goal.ledger` must lie under log_dir or outside work_dir, or it is stashed with the agent's work";
        notes.refuse(section.place("ledger"), message);
    }
    let phases: Vec<Option<&str>> = match config.phases.list.as_slice() {
        [] => vec![None],
        list => list.iter().map(|name| Some(name.as_str())).collect(),
    };
    for phase in phases {
        let files = config.profile(phase).prompt_files;
        if !files.iter().skip(1).any(|file| file == ledger) {
            let whose = phase.map_or_else(|| "[prompt]".into(), |name| format!("phase `{name}`"));
            let message = format!("`goal.ledger` must be among the prompt files of {whose}, after the first");
            notes.refuse(section.place("ledger"), message);
            return;
        }
    }
}
