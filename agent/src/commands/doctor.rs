//! `agent-runner doctor`.

use std::ffi::OsString;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::apply::with_rights_of;
use crate::config::overlap::{Overlap, overlaps};
use crate::config::types::{Config, PhasePolicy, Schedule};
use crate::error::{Error, Exit};
use crate::git::{Git, Limits};
use crate::host::Root;
use crate::host::cgroup::Cgroup;
use crate::output::printed;
use crate::output::{self, Format};
use crate::peek::brake::Standing;
use crate::provider::presets::Entry;
use crate::provider::{Presets, unread};
use crate::round::preflight::{self, CHECKS, Class, Failure, SearchPath};
use crate::serve::phases::{Candidate, Choice, choose, closed_globally};
use crate::serve::schedule::Calendar;
use crate::store::layout::Layout;
use crate::store::record::Record;
use crate::store::{agent_logs, backward, pid_file, round_number};
use crate::verb::{Ctx, project};

/// Check everything a round needs, without running one
///
/// Ends with 1 when a check fails.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How many of the next rounds to plan
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
}

/// Runs the verb.
///
/// # Errors
/// When the configuration cannot be loaded.
pub fn run(ctx: &Ctx, args: DoctorArgs) -> Result<Exit, Error> {
    let home = ctx.home();
    let load = || Config::load(&ctx.config, home.as_deref());
    let loaded = with_rights_of(&project::owner(ctx), load)?;
    for warning in &loaded.warnings {
        output::note(&format!("warning: {warning}"));
    }
    let config = loaded.config;
    let checks = checks(ctx, &config);
    let next = round_number::next(&Layout::new(&config.runtime.log_dir));
    let now = Timestamp::now();
    let plan =
        (0..i64::from(args.rounds)).map(|ahead| planned(&config, next.saturating_add(ahead), now)).collect();
    let findings = Findings {
        checks,
        overlaps: overlaps(&config),
        plan,
        cgroup: memory(&config),
        sigterm_grace: grace(&presets(ctx, &config), &config),
        provider: provider(&presets(ctx, &config), &config),
    };
    printed(match ctx.format {
        Format::Json => output::print_json(&findings),
        Format::Pretty => output::print(&pretty(&findings)),
    })?;
    Ok(if findings.checks.iter().all(|check| check.ok) { Exit::Ok } else { Exit::Failed })
}

/// What `doctor` found; names and order are contract.
#[derive(Debug, Serialize)]
struct Findings {
    checks: Vec<Check>,
    overlaps: Vec<Overlap>,
    plan: Vec<Planned>,
    cgroup: Memory,
    sigterm_grace: Grace,
    provider: Reading,
}

/// How the agent's output is read.
#[derive(Debug, Serialize)]
struct Reading {
    agent: String,
    /// Whether there are rules for it.
    read: bool,
    proven_on: Vec<String>,
    /// The last report that nothing was understood, if it still holds.
    unrecognised: Option<Unrecognised>,
}

#[derive(Debug, Serialize)]
struct Unrecognised {
    round_num: Option<i64>,
    program: Option<String>,
    raw: String,
}

/// One check of the battery; names and order are contract.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) ok: bool,
    pub(super) reason: String,
    pub(super) how_to_fix: String,
    permanent: bool,
}

#[derive(Debug, Serialize)]
struct Planned {
    round: i64,
    phase: Option<String>,
    paused: bool,
    resume_phase: Option<String>,
    resume_at: Option<String>,
    resume_timezone: Option<String>,
    skipped: Vec<String>,
    active_window: Option<String>,
}

#[derive(Debug, Serialize)]
struct Memory {
    cgroup_path: Option<String>,
    memory_max: Option<u64>,
    memory_high: Option<u64>,
    delegated: Option<bool>,
    brake: &'static str,
    /// Only for the page: whose group it is.
    #[serde(skip)]
    of: Whose,
}

/// Whose control group is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The running Loop's.
    Loop,
    /// This command's own: no Loop runs.
    Command,
}

#[derive(Debug, Serialize)]
struct Grace {
    agent: String,
    cooperative: bool,
    signal: &'static str,
    resolved_s: u64,
}

/// Returns what the battery before each round finds, with the caller's `PATH`.
pub(super) fn checks(ctx: &Ctx, config: &Config) -> Vec<Check> {
    let owner = project::owner(ctx);
    let mut git = Git::new(&config.runtime.work_dir, Limits::default()).behind(owner.becoming());
    let path = ctx.env("PATH").map(OsString::from);
    let run = || preflight::battery(config, &mut git, SearchPath::Known(path.as_deref()));
    let failures = with_rights_of(&owner, run);
    let of = |name: &str, failure: &Failure| failure.check.split(':').next() == Some(name);
    let mut checks = Vec::new();
    for name in CHECKS {
        let own: Vec<&Failure> = failures.iter().filter(|failure| of(name, failure)).collect();
        if own.is_empty() {
            checks.push(Check {
                name: name.to_owned(),
                ok: true,
                reason: String::new(),
                how_to_fix: String::new(),
                permanent: false,
            });
        }
        checks.extend(own.into_iter().map(|failure| Check {
            name: failure.check.clone(),
            ok: false,
            reason: failure.reason.clone(),
            how_to_fix: failure.fix.clone(),
            permanent: failure.class == Class::Permanent,
        }));
    }
    checks
}

/// Returns what would happen if a round were due now.
fn planned(config: &Config, round: i64, now: Timestamp) -> Planned {
    let open = |phase: Option<String>| Planned {
        round,
        phase,
        paused: false,
        resume_phase: None,
        resume_at: None,
        resume_timezone: None,
        skipped: Vec::new(),
        active_window: None,
    };
    let turn = config.rotation(round).map(str::to_owned);
    let closed = |closed: crate::serve::phases::Closed| Planned {
        paused: true,
        resume_phase: closed.phase,
        resume_at: Some(closed.resume_at).filter(|at| !at.is_empty()),
        resume_timezone: Some(closed.timezone),
        active_window: Some(closed.active_window),
        ..open(turn.clone())
    };
    if turn.is_none() {
        return closed_globally(&calendar(&config.schedule), now).map_or_else(|| open(None), closed);
    }
    let turns = match config.phases.policy {
        PhasePolicy::Wait => 1,
        PhasePolicy::Skip => config.phases.list.len(),
    };
    let names = (0..).map_while(|ahead: i64| config.rotation(round.saturating_add(ahead))).take(turns);
    let phases: Vec<_> = names
        .map(|name| {
            let profile = config.profile(Some(name));
            let agent = profile.agent.identity().to_owned();
            (name, agent, calendar(&profile.schedule))
        })
        .collect();
    let candidates: Vec<Candidate<'_>> =
        phases.iter().map(|(name, agent, calendar)| Candidate { name, agent, calendar }).collect();
    match choose(&candidates, None, now) {
        Choice::Run(chosen) => Planned {
            skipped: chosen.skipped,
            active_window: Some(chosen.active_window).filter(|window| !window.is_empty()),
            ..open(Some(chosen.phase))
        },
        Choice::Closed(shut) => closed(shut),
    }
}

fn calendar(schedule: &Schedule) -> Calendar {
    // Loading has refused a zone that this host does not know.
    let zone = schedule.timezone.as_deref().and_then(|name| TimeZone::get(name).ok());
    Calendar::new(schedule.clone(), zone.unwrap_or_else(TimeZone::system))
}

fn memory(config: &Config) -> Memory {
    let serve = pid_file::read(&Layout::new(&config.runtime.log_dir)).usable();
    let serve = serve.filter(|serve| !serve.is_gone());
    let standing = Standing::of(&Root::default(), serve);
    let limits = standing.group.as_ref().map(Cgroup::effective_limits).unwrap_or_default();
    Memory {
        brake: standing.brake(config).as_str(),
        delegated: standing.delegated,
        cgroup_path: standing.group.map(|group| group.path),
        memory_max: limits.max,
        memory_high: limits.high,
        of: serve.map_or(Whose::Command, |_| Whose::Loop),
    }
}

fn presets(ctx: &Ctx, config: &Config) -> Presets {
    Presets::load(&ctx.preset_folders(Some(&config.runtime.work_dir)))
}

fn provider(presets: &Presets, config: &Config) -> Reading {
    let agent = config.agent.identity();
    let layout = Layout::new(&config.runtime.log_dir);
    let events = backward::records(layout.events_files());
    let preset = presets.get(agent).and_then(Entry::preset);
    let rules = presets.rules_for(agent);
    let read_again = |told: &Record| {
        let newest = agent_logs::newest(&layout).filter(|(number, _)| Some(*number) >= told.int("round_num"));
        rules.zip(newest).is_some_and(|(rules, (_, log))| unread::is_read_again(rules, &log))
    };
    let standing = unread::standing(events, agent).filter(|told| !read_again(told));
    Reading {
        agent: agent.to_owned(),
        read: rules.is_some(),
        proven_on: preset.map(|preset| preset.proven_on.clone()).unwrap_or_default(),
        unrecognised: standing.map(|told| Unrecognised {
            round_num: told.int("round_num"),
            program: told.str("program").map(str::to_owned),
            raw: told.str("raw").unwrap_or_default().to_owned(),
        }),
    }
}

fn grace(presets: &Presets, config: &Config) -> Grace {
    let agent = config.agent.identity().to_owned();
    Grace {
        cooperative: presets.cooperative().contains_key(&agent),
        signal: presets.stop_signal(&agent).name(),
        resolved_s: presets.grace_s(&agent, config.agent.sigterm_grace_s),
        agent,
    }
}

fn pretty(findings: &Findings) -> String {
    let mut text = String::from("Checks\n");
    for check in &findings.checks {
        if check.ok {
            text.push_str(&format!("  [ok]   {}\n", check.name));
        } else {
            text.push_str(&format!("  [FAIL] {}: {}\n", check.name, check.reason));
            text.push_str(&format!("         fix: {}\n", check.how_to_fix));
        }
    }
    for overlap in &findings.overlaps {
        text.push_str(&format!(
            "  overlap: {} ({}) and {} ({})\n",
            overlap.phase_a, overlap.window_a, overlap.phase_b, overlap.window_b
        ));
    }
    text.push_str("Next rounds, if they were due now\n");
    for planned in &findings.plan {
        let phase = planned.phase.as_deref().map(|phase| format!(" {phase}")).unwrap_or_default();
        let skipped = if planned.skipped.is_empty() {
            String::new()
        } else {
            format!(" (skips {})", planned.skipped.join(", "))
        };
        let state = match (planned.paused, &planned.resume_at) {
            (false, _) => "runs".to_owned(),
            (true, Some(at)) => format!("waits until {at}"),
            (true, None) => "waits, with no opening within 8 days".to_owned(),
        };
        text.push_str(&format!("  {}{phase}: {state}{skipped}\n", planned.round));
    }
    let memory = &findings.cgroup;
    let limit = |bytes: Option<u64>| bytes.map_or("none".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
    text.push_str(&format!(
        "Memory\n  {} group {}, memory.max {}, memory.high {}, brake {}\n",
        match memory.of {
            Whose::Loop => "the Loop's",
            Whose::Command => "no Loop runs; this command's",
        },
        memory.cgroup_path.as_deref().unwrap_or("none (no cgroup v2)"),
        limit(memory.memory_max),
        limit(memory.memory_high),
        memory.brake
    ));
    let grace = &findings.sigterm_grace;
    text.push_str(&format!("Stop\n  {} gets {} and {} s\n", grace.agent, grace.signal, grace.resolved_s));
    let reading = &findings.provider;
    let proven = match (reading.read, reading.proven_on.as_slice()) {
        (false, _) => {
            "no rules read what it prints: no usage, no limits; refused logins by patterns".to_owned()
        }
        (true, []) => "read by rules that name no version".to_owned(),
        (true, versions) => format!("read by rules proven on {}", versions.join(", ")),
    };
    text.push_str(&format!("Output\n  {}: {proven}\n", reading.agent));
    if let Some(unread) = &reading.unrecognised {
        let round = unread.round_num.map(|number| format!(" since round {number}")).unwrap_or_default();
        text.push_str(&format!(
            "  [WARN] no rule understands it{round}: usage, limits and refused logins are not seen\n"
        ));
        text.push_str("         fix: `agent-runner presets check FILE --log LOG` shows what a preset reads; see docs/presets.md\n");
    }
    text
}
