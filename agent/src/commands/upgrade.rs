//! `agent-runner upgrade`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use crate::apply::report::{Outcome, Report};
use crate::apply::{self, Begun, Request, UpgradeError, World};
use crate::error::{Error, Exit};
use crate::event::Event;
use crate::output::printed;
use crate::output::{self, Format};
use crate::process::capture::{Capture, capture};
use crate::process::child::{Environment, Stdin};
use crate::process::wait;
use crate::service::Project;
use crate::store::event_log::EventLog;
use crate::verb::{ConfigGiven, Ctx, project, world};

/// How often the Loop is looked at while it hands over.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long the new program may take to look at a configuration.
const MIGRATE_MAX: Duration = Duration::from_secs(20);

/// What a hand-over may take beyond the longest round.
const SLACK: Duration = Duration::from_secs(60);

/// Put another agent-runner in this one's place; the running Loop hands over to it at the end of its round
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// The new program, or a folder with `agent-runner-TARGET` files of which this machine's is taken
    #[arg(long, value_name = "FILE|DIR")]
    from: PathBuf,
    /// Leave the running service on the old program until somebody restarts it
    #[arg(long)]
    no_restart: bool,
    /// Do not look for keys of an older release that `agent-runner migrate` would rewrite. An upgrade never changes the
    /// configuration itself: one that the new program cannot use refuses the upgrade
    #[arg(long)]
    no_migrate: bool,
    /// Seconds after which the old program is put back if this one dies before it is sure of the new one
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    confirm_s: u64,
}

/// What `upgrade` did.
#[derive(Debug, Serialize)]
struct Upgraded {
    program: String,
    from_version: String,
    to_version: String,
    /// Whether a running Loop took the new program over.
    handed_over: bool,
    notes: Vec<String>,
}

/// Runs the verb.
///
/// # Errors
/// When the new program is refused, or did not take over; then the old one is in its place.
pub fn run(ctx: &Ctx, args: UpgradeArgs) -> Result<Exit, Error> {
    let started = Instant::now();
    let project = addressed(ctx)?;
    let world = world::of(ctx)?;
    let name = project::program(ctx)?;
    let served = project.as_ref().filter(|_| !args.no_restart);
    let request = Request { from: &args.from, name: &name, project: served, confirm_s: args.confirm_s };
    let begun = apply::upgrade(&world, &request).map_err(|error| refused(ctx, error))?;
    let report = settle(&world, &begun, served)?;
    let story =
        Story { project: project.as_ref(), begun: &begun, duration_s: started.elapsed().as_secs_f64() };
    if report.outcome != Outcome::Confirmed {
        return story.put_back(&report);
    }
    story.tell(if begun.hands_over { story.upgraded() } else { story.placed(args.no_restart) });
    let old_keys = project.as_ref().filter(|_| !args.no_migrate).and_then(|project| old_keys(&name, project));
    let done = Upgraded {
        program: name.display().to_string(),
        from_version: begun.from.version.clone(),
        to_version: begun.to.version.clone(),
        handed_over: begun.hands_over,
        notes: begun.notes.iter().chain(&report.notes).cloned().chain(old_keys).collect(),
    };
    printed(match ctx.format {
        Format::Json => output::print_json(&done),
        Format::Pretty => output::print(&pretty(&done)),
    })?;
    Ok(Exit::Ok)
}

/// Returns the project of the configuration; none when there is no file and nobody named one.
fn addressed(ctx: &Ctx) -> Result<Option<Project>, Error> {
    if ctx.config_given == ConfigGiven::ByDefault && !ctx.config.exists() {
        return Ok(None);
    }
    project::load(ctx).map(Some)
}

/// Asks the new program, which knows best, whether a configuration has keys of an older release.
fn old_keys(program: &Path, project: &Project) -> Option<String> {
    let argv = [
        program.as_os_str(),
        "migrate".as_ref(),
        "--dry-run".as_ref(),
        "--json".as_ref(),
        "--config".as_ref(),
    ];
    let done = capture(Capture {
        argv: argv.into_iter().chain([project.config.as_os_str()]).map(Into::into).collect(),
        cwd: project.work_dir.clone(),
        env: Environment::inherited(),
        stdin: Stdin::Null,
        timeout: MIGRATE_MAX,
        output_limit: 1 << 20,
    });
    let told: serde_json::Value = serde_json::from_slice(&done.ok()?.stdout).ok()?;
    let changed = told.get("changed")?.as_bool()?;
    changed.then(|| {
        format!(
            "{} has keys of an older release: `agent-runner migrate` rewrites them",
            project.config.display()
        )
    })
}

/// Asks until the switch is decided. A round that runs has to end first; without anybody who asks, the guard decides.
fn settle(world: &World, begun: &Begun, project: Option<&Project>) -> Result<Report, Error> {
    let broken = |error: apply::Error| Error::failed("the state of this upgrade").caused_by(error);
    let longest = project.map_or(Duration::ZERO, |project| Duration::from_secs(project.stop_timeout_s));
    let deadline = Instant::now() + longest + SLACK;
    let mut told = String::new();
    loop {
        let report = apply::confirm(world, &begun.id).map_err(broken)?;
        if report.outcome != Outcome::Waiting {
            return Ok(report);
        }
        if Instant::now() >= deadline {
            return apply::revert_now(world, &begun.id).map_err(broken);
        }
        let waiting = report.notes.join("; ");
        if waiting != told {
            output::note(&format!("{waiting} (interrupted, {} comes back by itself)", begun.from.version));
            told = waiting;
        }
        wait::wait_until(Instant::now() + LOOK_EVERY)
            .map_err(|error| Error::failed("waiting for the hand-over").caused_by(error))?;
    }
}

/// What helps when nothing runs after an upgrade.
const START: &str = "`agent-runner doctor` names what is in the way; then `agent-runner start`";

/// What goes into the project's log.
struct Story<'a> {
    project: Option<&'a Project>,
    begun: &'a Begun,
    duration_s: f64,
}

impl Story<'_> {
    fn tell(&self, event: Event) {
        if let Some(project) = self.project {
            EventLog::new(project.layout.clone()).append(&event);
        }
    }

    fn upgraded(&self) -> Event {
        Event::ServiceUpgraded {
            from_version: self.begun.from.version.clone(),
            to_version: self.begun.to.version.clone(),
            duration_s: self.duration_s,
        }
    }

    fn placed(&self, restart_deferred: bool) -> Event {
        Event::PackageUpgraded {
            from_version: self.begun.from.version.clone(),
            to_version: self.begun.to.version.clone(),
            restart_deferred,
        }
    }

    fn put_back(&self, report: &Report) -> Result<Exit, Error> {
        let reasons: Vec<&str> = report.problems.iter().map(|problem| problem.message.as_str()).collect();
        let failure_reason = reasons.join("; ");
        let (from, to) = (self.begun.from.version.clone(), self.begun.to.version.clone());
        // The old program is in its place then, and nobody runs it.
        let only_stopped = report.problems.iter().all(|problem| problem.project.is_some());
        if report.outcome == Outcome::Failed && only_stopped {
            self.tell(Event::UpgradeStartFailed {
                to_version: to.clone(),
                failure_reason: failure_reason.clone(),
                remedy: START.into(),
            });
            let text = format!("{to} did not take over, {from} is back and does not start: {failure_reason}");
            return Err(Error::new(Exit::Usage, text).hinted(START));
        }
        if report.outcome == Outcome::Failed {
            self.tell(Event::ServiceUpgradeRollbackFailed {
                attempted_version: to,
                restore_target_version: from,
                failure_reason: failure_reason.clone(),
            });
            let text = format!("the upgrade failed and so did the way back: {failure_reason}");
            return Err(Error::new(Exit::Usage, text).hinted("`agent-runner status` shows what runs"));
        }
        let text = format!("{to} did not take over, {from} is back: {failure_reason}");
        self.tell(Event::ServiceUpgradeRolledBack {
            attempted_version: to,
            restored_version: from,
            failure_reason,
            duration_s: self.duration_s,
        });
        Err(Error::failed(text))
    }
}

fn refused(ctx: &Ctx, error: UpgradeError) -> Error {
    let hint = match &error {
        UpgradeError::ReadOnly(_) => {
            Some("run it as the owner of that folder: `sudo` for a system-wide one".to_owned())
        }
        UpgradeError::Elsewhere { in_use, .. } => {
            Some(format!("call that one: {} upgrade", in_use.display()))
        }
        UpgradeError::Config { .. } => {
            Some(format!("the new program's own `migrate --config {}` may help", ctx.config.display()))
        }
        UpgradeError::Busy(_) => Some("wait for it and try again".to_owned()),
        UpgradeError::Same { .. } => Some("nothing was changed".to_owned()),
        UpgradeError::Candidate(_)
        | UpgradeError::Broken(_)
        | UpgradeError::File(_)
        | UpgradeError::PutBack(_)
        | UpgradeError::Stuck(_) => None,
    };
    let exit = if matches!(error, UpgradeError::Stuck(_)) { Exit::Usage } else { Exit::Failed };
    let failed = Error::new(exit, "not upgraded").caused_by(error);
    match hint {
        Some(hint) => failed.hinted(hint),
        None => failed,
    }
}

fn pretty(done: &Upgraded) -> String {
    let service = if done.handed_over { "; the running Loop has taken it over" } else { "" };
    let mut text = format!("{}: {} -> {}{service}\n", done.program, done.from_version, done.to_version);
    text.extend(done.notes.iter().map(|note| format!("note: {note}\n")));
    text
}
