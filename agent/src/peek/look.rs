//! One look: everything read from its end backwards, nothing written.

use std::io;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::answer::{Answer, Plugins, RateLimit, Round, Running, SCHEMA_VERSION, Schedule, System};
use super::brake::{Brake, Standing};
use super::defenses::{self, Facts, Lingers, Psi};
use super::history::{History, whole};
use crate::config::types::Config;
use crate::host::Root;
use crate::process::signals::StopSignal;
use crate::provider::Presets;
use crate::service::{self, Account, Project, linger};
use crate::store::layout::Layout;
use crate::store::record::Record;
use crate::store::{agent_logs, bisect, follow, holder, metrics, orphan_state, pid_file, status, time};
use crate::witness::evidence;
use crate::witness::monitor::look_of;
use crate::witness::reader::{FirstLook, Reader, Start};
use crate::witness::rehearsal;
use crate::witness::snapshot::Snapshot;
use crate::witness::state::Alive;
use crate::witness::thresholds::Thresholds;

/// With the history's share everything stays below a megabyte.
const FIRST_LOOK: FirstLook = FirstLook { events: 320 * 1024, samples: 64 * 1024 };
/// Lines of a round's log that are shown.
const LOG_LINES: usize = 50;
/// Events of one round that are shown, and bytes read to find them.
const ROUND_EVENTS: usize = 200;
const ROUND_BYTES: u64 = 256 * 1024;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// One round in detail.
    pub round: Option<RoundAsked>,
    /// Lines of its log as well.
    pub log_lines: Option<usize>,
    /// The newest events.
    pub events: usize,
}

impl Asked {
    /// Returns how many lines of a log `--log` shows.
    pub fn default_log_lines() -> usize {
        LOG_LINES
    }
}

/// Which round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundAsked {
    /// The highest number that has a log.
    Latest,
    /// This one.
    Number(i64),
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum PeekError {
    /// There is no such round.
    #[error("no log of round {0} below {1}")]
    UnknownRound(String, PathBuf),
    /// The log cannot be read.
    #[error("reading the log dir {path}")]
    Unreadable {
        /// The log dir.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Looks at a project.
///
/// # Errors
/// When the round asked for is unknown, or the log cannot be read.
pub fn look(config: &Config, account: Account, presets: &Presets, asked: Asked) -> Result<Answer, PeekError> {
    let layout = Layout::new(&config.runtime.log_dir);
    let now = Timestamp::now();
    let mut reader = Reader::new(layout.clone(), FIRST_LOOK, Start::End);
    reader
        .poll(&look_of(config), |_| {})
        .map_err(|source| PeekError::Unreadable { path: layout.root().to_owned(), source })?;
    let snapshot = reader.snapshot();
    let history = History::of(&layout, asked.events);
    let alive = Alive::look(&layout);
    let project = Project::of(config, account);
    let service = service::status(&project);
    let brake = brake(config, &layout, history.cgroup);
    let facts = Facts {
        mode: service.mode,
        lingers: match linger::linger(&project.account) {
            linger::Linger::On => Lingers::Yes,
            linger::Linger::Off => Lingers::No,
        },
        psi: match snapshot.samples.newest.and_then(|line| line.memory.some_avg10) {
            Some(_) => Psi::Told,
            None => Psi::Untold,
        },
        brake,
    };
    let evaluation = rehearsal::judge(snapshot, &Thresholds::of(config), now);
    let cannot_judge = evaluation.cannot_judge();
    let active = service.active;
    Ok(Answer {
        schema_version: SCHEMA_VERSION.to_owned(),
        plugins: plugins(config, presets),
        project: config.project().to_owned(),
        status: status_of(&layout, alive),
        defenses: defenses::catalogue(config, facts),
        current_round: asked.round.map(|round| one_round(&layout, round, &asked, now)).transpose()?,
        recent_rounds: history.rounds,
        orphan: orphan_state::read(&layout).usable(),
        system: system(&layout),
        service: with_throttle(object(&service), snapshot, now),
        recent_events: history.events,
        recent_hook_failures: history.hook_failures,
        recent_blips: history.blips,
        recent_cgroup_growth_warnings: history.growth_warnings,
        schedule: schedule(snapshot),
        brake: brake.as_str().to_owned(),
        alerts: evaluation.alerts.into_iter().map(|(_, alert)| alert).collect(),
        critic_findings: history.findings,
        running: running(snapshot, alive, config, now),
        ended: history.end.filter(|_| !active),
        cannot_judge,
    })
}

fn plugins(config: &Config, presets: &Presets) -> Plugins {
    let on = |name: &&str| !config.disabled_plugins.iter().any(|disabled| disabled == name);
    let parsing = presets.entries().into_iter().filter(|entry| entry.agent().is_some());
    let names: Vec<&str> = parsing.map(|entry| entry.name.as_str()).filter(on).collect();
    let signals = presets.cooperative().into_iter();
    Plugins {
        post_round_hooks: names.iter().map(|name| format!("{name}_error_detector")).collect(),
        disabled: config.disabled_plugins.clone(),
        cooperative_stop: signals
            .map(|(agent, signal)| (agent, StopSignal::name(signal).to_owned()))
            .collect(),
        resolved_sigterm_grace_s: presets.grace_s(config.agent.identity(), config.agent.sigterm_grace_s),
    }
}

fn status_of(layout: &Layout, alive: Alive) -> Map<String, Value> {
    let mut status = status::read(layout).usable().map(|status| object(&status)).unwrap_or_default();
    if alive.round && !status.is_empty() {
        status.insert("running".into(), json!(true));
    }
    status
}

fn system(layout: &Layout) -> System {
    let Some(sample) = metrics::newest(layout) else { return System::default() };
    System {
        mem_total_mb: sample.mem_total_mb,
        mem_available_mb: sample.mem_available_mb,
        disk_used_pct: sample.disk_used_pct.unwrap_or_default(),
        disk_free_gb: sample.disk_free_gb.unwrap_or_default(),
        load_1m: sample.load_1m,
        cpu_pct: sample.cpu_pct,
        agent_process_count: sample.agent_process_count,
    }
}

fn with_throttle(mut service: Map<String, Value>, snapshot: &Snapshot, now: Timestamp) -> Map<String, Value> {
    let active = snapshot.throttles.active(now);
    let longest = active.iter().max_by_key(|throttle| throttle.until);
    let rate_limit = longest.map(|throttle| RateLimit {
        throttled_until_epoch: throttle.until.as_second(),
        limit_type: throttle.classification.clone(),
        agent: throttle.agent.clone(),
        since_round: throttle.since_round,
        phase: throttle.phase.clone().unwrap_or_default(),
        throttled_agents: active.iter().map(|throttle| throttle.agent.clone()).collect(),
    });
    service.insert("rate_limit".into(), json!(rate_limit));
    service
}

fn running(snapshot: &Snapshot, alive: Alive, config: &Config, now: Timestamp) -> Option<Running> {
    let round = snapshot.newest_round.as_ref().filter(|round| alive.round && round.ended.is_none())?;
    let started = time::parse(&round.ts)?;
    Some(Running {
        round_num: round.round_num,
        phase: round.phase.clone(),
        started_at: round.ts.clone(),
        elapsed_s: now.duration_since(started).as_secs().max(0),
        budget_s: Thresholds::of(config).budget_of(round.phase.as_deref()),
    })
}

fn schedule(snapshot: &Snapshot) -> Option<Schedule> {
    let pause = snapshot.pause.as_ref().filter(|pause| pause.kind == "schedule_paused")?;
    Some(Schedule {
        paused: true,
        resume_at: pause.resume_at.clone(),
        active_window: pause.active_window.clone(),
        phase: pause.phase.clone(),
    })
}

/// Returns the brake's state: of the Loop that runs, else as the last one found it, else as this process finds it.
fn brake(config: &Config, layout: &Layout, told: Option<(Option<bool>, bool)>) -> Brake {
    let serve = pid_file::read(layout).usable().filter(|serve| !serve.is_gone());
    match (serve, told) {
        (None, Some((delegated, in_group))) => Brake::of(config, in_group, delegated),
        (serve, _) => Standing::of(&Root::default(), serve).brake(config),
    }
}

fn one_round(layout: &Layout, round: RoundAsked, asked: &Asked, now: Timestamp) -> Result<Round, PeekError> {
    let known = match round {
        RoundAsked::Number(round_num) => {
            agent_logs::of_round(layout, round_num).map(|path| (round_num, path))
        }
        RoundAsked::Latest => agent_logs::newest(layout),
    };
    let Some((round_num, log)) = known else {
        let name = match round {
            RoundAsked::Number(round_num) => round_num.to_string(),
            RoundAsked::Latest => "(any)".to_owned(),
        };
        return Err(PeekError::UnknownRound(name, layout.rounds_dir()));
    };
    let stamped = agent_logs::started(&log);
    let lines = lines_of(layout, round_num, stamped)
        .map_err(|source| PeekError::Unreadable { path: layout.root().to_owned(), source })?;
    let records: Vec<Record> = lines.iter().filter_map(|line| Record::parse(line)).collect();
    let of_kind = |kind: &str| records.iter().rev().find(|record| record.kind == kind);
    let (start, exit) = (of_kind("round_start"), of_kind("agent_exit"));
    let started = start.and_then(Record::time).or(stamped);
    let so_far =
        started.filter(|_| exit.is_none()).map(|started| now.duration_since(started).as_secs_f64().max(0.0));
    let running = holder::read(layout).usable().filter(|holder| holder.round_num == Some(round_num));
    let agent = running.and_then(|holder| holder.agent()).filter(|agent| !agent.is_gone());
    Ok(Round {
        round_num,
        phase: start.and_then(|record| record.str("phase")).map(str::to_owned),
        started_at: start.map(|record| record.ts.clone()).or(started.map(time::stamp)).unwrap_or_default(),
        duration_so_far_s: exit.and_then(|record| record.float("duration_s")).or(so_far),
        pid: agent.map(|agent| agent.pid),
        exit_code: exit.and_then(|record| record.int("exit_code")),
        timed_out: exit.and_then(|record| record.bool("timed_out")),
        log_tail: asked.log_lines.map(|lines| {
            String::from_utf8_lossy(&evidence::tail(&log, lines)).trim_end_matches('\n').to_owned()
        }),
        log_path: log.to_string_lossy().into_owned(),
        recent_events: lines.iter().filter_map(|line| whole(line)).collect(),
    })
}

/// Returns the lines of one round, looked for from its start on.
fn lines_of(layout: &Layout, round_num: i64, started: Option<Timestamp>) -> io::Result<Vec<Vec<u8>>> {
    let Some(started) = started.and_then(|at| at.checked_sub(SignedDuration::from_secs(3)).ok()) else {
        return Ok(Vec::new());
    };
    let first = layout.events_file(started);
    let mut found: Vec<Vec<u8>> = Vec::new();
    for path in layout.events_files().into_iter().filter(|path| *path >= first).take(2) {
        let from = if path == first { bisect::first_since(&path, started)? } else { 0 };
        follow::lines_between(&path, from..from.saturating_add(ROUND_BYTES), |line| {
            let of_round = Record::parse(line).is_some_and(|record| record.round_num() == Some(round_num));
            if of_round && found.len() < ROUND_EVENTS {
                found.push(line.to_vec());
            }
        })?;
    }
    Ok(found)
}

fn object(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => Map::new(),
    }
}
