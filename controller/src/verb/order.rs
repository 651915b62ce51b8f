//! What `deploy`, `plan`, `push`, `install` and `rollback` have in common: manifests for the selected hosts, rolled out
//! batch by batch, shown and recorded.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_runner::apply::manifest::{MANIFEST_VERSION, Manifest, Part, Rollback};
use agent_runner::apply::report::Change;
use agent_runner::error::in_words;
use agent_runner_inventory as inventory;
use agent_runner_inventory::{Inventory, Share, fold_names};
use clap::Args;

use super::Ctx;
use super::context::printed;
use super::on_hosts::within_open_files;
use crate::deploy::accounts::{self, Lands};
use crate::deploy::host::{Deployed, Depth, HostDeploy};
use crate::deploy::manifest::{Maker, drain, healthy, scope};
use crate::deploy::rollout::Rollout;
use crate::deploy::run::{Conduct, run as roll_out};
use crate::deploy::summary::summary;
use crate::deploy::wish::Wish;
use crate::error::{Error, Exit, HostBits, config, usage};
use crate::fanout::FanoutOptions;
use crate::output::print;
use crate::output::progress::Progress;
use crate::output::recap::{Recap, Status};
use crate::output::result_line::ResultLine;
use crate::runs::{self, Begin, Recorder, Run};
use crate::targets::{Projects, Target};

/// What a verb asks for.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    /// The verb, for progress and the record.
    pub(crate) verb: &'a str,
    /// Only these projects; none is all.
    pub(crate) projects: Vec<String>,
    /// What the hosts are asked for.
    pub(crate) what: What,
    /// How far to go.
    pub(crate) depth: Depth,
    /// How fast, where the command line says so.
    pub(crate) pace: Pace,
    /// Only the hosts that this run left.
    pub(crate) resumed: Option<Run>,
    /// Where hosts go back: only what this run brought.
    pub(crate) of_run: Option<String>,
    /// Whether differences are shown.
    pub(crate) diff: bool,
}

/// What hosts are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// To be as the inventory says, in these parts.
    Inventory(Part),
    /// The same, also with an older agent than they have.
    Downgrade,
    /// To go back to the release before.
    Rollback,
}

/// How fast a rollout goes, where the command line says so instead of the inventory's `[rollout]`.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Pace {
    /// Hosts of a batch before all others; the first failure among them ends the run, whatever --max-fail allows
    #[arg(long, value_name = "N")]
    canary: Option<u32>,
    /// Start no further host once more than this failed (N or N%), instead of the inventory's
    #[arg(long, value_name = "N|N%")]
    max_fail: Option<Share>,
    /// Seconds between two batches, instead of the inventory's rollout.pause_s
    #[arg(long = "pause", value_name = "SECONDS")]
    pause_s: Option<u64>,
}

/// What `push`, `install` and `rollback` are told.
#[derive(Debug, Args)]
pub struct RolloutArgs {
    /// Only these projects
    #[arg(value_name = "PROJECT")]
    projects: Vec<String>,
    /// Only look: what would change on each host
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    pace: Pace,
}

impl RolloutArgs {
    /// Carries out what the hosts are asked for, or only looks.
    ///
    /// # Errors
    /// As [`run`].
    pub(crate) fn run(self, ctx: &Ctx, verb: &str, what: What) -> Result<Exit, Error> {
        run(ctx, &self.order(verb, what)).map(|(exit, _)| exit)
    }

    /// Returns the order for what the hosts are asked for.
    pub(crate) fn order(self, verb: &str, what: What) -> Order<'_> {
        let RolloutArgs { projects, check, pace } = self;
        let depth = if check { Depth::Check } else { Depth::Apply };
        Order { verb, projects, what, depth, pace, resumed: None, of_run: None, diff: check }
    }
}

/// Carries an order out.
///
/// # Errors
/// When the inventory, the selection or a project's files are wrong: before any host is touched.
pub(crate) fn run(ctx: &Ctx, order: &Order<'_>) -> Result<(Exit, Recap), Error> {
    let inventory = ctx.inventory()?;
    let projects = ctx.projects(&inventory, &order.projects)?;
    let mut targets = ctx.targets(&inventory, &[])?;
    targets.retain(|target| !projects.on(&target.name).is_empty());
    if let Some(run) = &order.resumed {
        let left = run.unfinished();
        let place = |target: &Target| left.iter().position(|host| *host == target.name.as_str());
        targets.retain(|target| place(target).is_some());
        targets.sort_by_key(place);
    }
    if targets.is_empty() {
        return Err(match &order.resumed {
            Some(run) => usage(format!("run {} left no selected host to be done", run.begin.run)),
            None => usage("none of the selected hosts has such a project")
                .hinted("give the project an `on` that names them, or select others with --limit"),
        });
    }
    if ctx.global.list_hosts {
        return Ok((ctx.list_hosts(&targets)?, Recap::default()));
    }
    let by = ctx.by();
    let tasks = tasks(ctx, (&inventory, &targets, &projects), order, &by)?;
    let rules = rules(&inventory, order);
    let canary = order.pace.canary.is_some() && order.depth == Depth::Apply;
    if order.depth == Depth::Apply && !ctx.global.quiet {
        warn_of_shared_credentials(&targets, &projects, order.what);
        explain(&rules, canary, tasks.len(), &by.run);
    }
    let record = match order.depth {
        Depth::Check => Recorder::default(),
        Depth::Apply => {
            let hosts = tasks.iter().map(|task| task.host.clone()).collect();
            let begin = Begin::now(&by, order.verb, &inventory.fleet.name);
            ctx.record(&Begin { hosts, projects: order.projects.clone(), ..begin })
        }
    };
    let progress = Arc::new(Progress::new(ctx.show(), order.verb, tasks.len()));
    let (recap, deployed, record) = ctx.block_on(async {
        let cancel = ctx.cancel(&progress)?;
        let forks = ctx.forks(&inventory);
        // Each task has its own deadline, which does not count the wait for its turn.
        let most = within_open_files(tasks.len()).0;
        let options = FanoutOptions { forks, most, per_host_deadline: None, cancel };
        let conduct = Conduct { rules: &rules, canary, options, progress: progress.clone(), record };
        let (recap, deployed) = roll_out(&ctx.client(), tasks, &conduct).await;
        Ok((recap, deployed, conduct.record))
    })?;
    progress.finish();
    show(ctx, &deployed, order.diff)?;
    let mut exit = ctx.finish(&inventory, &recap)?;
    if all_held(&recap, &deployed) {
        exit = Exit::Locked;
    }
    record.end(exit.code());
    Ok((exit, recap))
}

/// As [`run`], for a look: with `exit_code`, a difference is 32.
///
/// # Errors
/// As [`run`].
pub(crate) fn look(ctx: &Ctx, order: &Order<'_>, exit_code: bool) -> Result<Exit, Error> {
    let (exit, recap) = run(ctx, order)?;
    let drift = exit_code && recap.count(Status::Changed) > 0;
    Ok(if drift { exit.and(HostBits::DRIFT) } else { exit })
}

/// Returns what is to be done on each host, every file read and every configuration checked.
///
/// # Errors
/// When a project's files are wrong, or one host's projects cannot be deployed together.
pub(crate) fn tasks(
    ctx: &Ctx,
    (inventory, targets, projects): (&Inventory, &[Target], &Projects<'_>),
    order: &Order<'_>,
    by: &agent_runner::apply::manifest::By,
) -> Result<Vec<HostDeploy>, Error> {
    let home = ctx.home();
    let maker = Maker { inventory, home: home.as_deref(), by: by.clone() };
    let mut tasks = Vec::with_capacity(targets.len());
    for target in targets {
        let on = projects.on(&target.name);
        let scope = common_scope(target, on)?;
        let wish = match order.what {
            What::Rollback => Wish::Rollback(Box::new(Rollback {
                rollback: MANIFEST_VERSION,
                fleet: inventory.fleet.name.clone(),
                host: target.name.to_string(),
                by: by.clone(),
                projects: on.iter().map(|project| project.name.clone()).collect(),
                confirm_s: inventory.rollout.confirm_s,
                drain: drain(inventory.rollout.drain),
                healthy: healthy(inventory.rollout.healthy),
                run: order.of_run.clone(),
            })),
            What::Downgrade | What::Inventory(_) => {
                let manifest = maker.manifest(&target.host, on).map_err(|error| config(in_words(&error)))?;
                Wish::Manifest(Box::new(part(manifest, order.what)))
            }
        };
        tasks.push(HostDeploy {
            host: target.name.to_string(),
            settings: target.settings.clone(),
            wish,
            scope,
            sudo: target.sudo(),
            depth: order.depth,
            deadline: match order.depth {
                Depth::Check => Some(ctx.deadline()),
                // A round may take hours to drain: only a person knows how long is too long.
                Depth::Apply => ctx.global.timeout.map(Duration::from_secs),
            },
        });
    }
    Ok(tasks)
}

fn part(manifest: Manifest, what: What) -> Manifest {
    match what {
        What::Inventory(Part::All) | What::Rollback => manifest,
        What::Downgrade => Manifest { downgrade: true, ..manifest },
        What::Inventory(only @ (Part::Files | Part::Units)) => {
            // What brings no agent is judged by the one that is there: which, is not its business.
            Manifest { only, agents: Vec::new(), ..manifest }
        }
    }
}

/// Returns the scope that decides where the agent is on a host. Projects of the system are root's, all others the
/// login's: one manifest is applied by one of the two.
fn common_scope(
    target: &Target,
    on: &[&inventory::Project],
) -> Result<agent_runner::apply::manifest::Scope, Error> {
    let of = |scope: inventory::Scope| -> Vec<&str> {
        let own = on.iter().filter(|project| project.service.scope == scope);
        own.map(|project| project.name.as_str()).collect()
    };
    let system = of(inventory::Scope::System);
    let others = [of(inventory::Scope::User), of(inventory::Scope::Detached)].concat();
    match (system.is_empty(), others.is_empty()) {
        (false, false) => Err(usage(format!(
            "{}: {} run under the system, {} under the login",
            target.name,
            system.join(", "),
            others.join(", ")
        ))
        .hinted(format!("deploy them one after another, each by name: deploy {}", system.join(" ")))),
        (false, true) => Ok(scope(inventory::Scope::System)),
        (true, _) => {
            let user = on.iter().any(|project| project.service.scope == inventory::Scope::User);
            Ok(scope(if user { inventory::Scope::User } else { inventory::Scope::Detached }))
        }
    }
}

fn rules(inventory: &Inventory, order: &Order<'_>) -> inventory::Rollout {
    let mut rules = inventory.rollout.clone();
    if let Some(canary) = order.pace.canary {
        rules.batch.insert(0, inventory::Batch(Share::Count(canary.max(1))));
    }
    if let Some(max_fail) = order.pace.max_fail {
        rules.max_fail = max_fail;
    }
    if let Some(pause_s) = order.pace.pause_s {
        rules.pause_s = pause_s;
    }
    if order.depth == Depth::Check {
        // Looking harms nobody: all at once, and no failure keeps the others from being looked at.
        rules.batch = vec![inventory::Batch(Share::Percent(100))];
        rules.max_fail = Share::Percent(100);
        rules.pause_s = 0;
    }
    rules
}

/// Says what will happen in which order, and how the run is called.
fn explain(rules: &inventory::Rollout, canary: bool, hosts: usize, run: &str) {
    let sizes = Rollout::new(hosts, &rules.batch, rules.max_fail).sizes();
    let first = sizes.first().copied().unwrap_or_default();
    let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    let pause =
        if rules.pause_s > 0 { format!(" with {} s between them", rules.pause_s) } else { String::new() };
    let many = match sizes.len() {
        0 | 1 => String::new(),
        2..=12 => format!(", in the inventory's order, in batches of {}{pause}", sizes.join(", ")),
        _ => format!(
            ", in the inventory's order, in {} batches of {}..{pause}",
            sizes.len(),
            sizes.get(..6).unwrap_or_default().join(", ")
        ),
    };
    let limit = match (hosts, rules.max_fail.floor_of(hosts)) {
        (0 | 1, _) => String::new(),
        (_, 0) => "; the first failure ends it".to_owned(),
        (_, allowed) if canary && allowed >= hosts => format!("; a failure among the first {first} ends it"),
        (_, allowed) if canary => {
            format!("; a failure among the first {first} ends it, later more than {allowed} do")
        }
        (_, allowed) if allowed >= hosts => String::new(),
        (_, allowed) => format!("; more than {allowed} failures end it"),
    };
    print::note(&format!("run {run}: {hosts} host{}{many}{limit}", if hosts == 1 { "" } else { "s" }));
}

fn warn_of_shared_credentials(targets: &[Target], projects: &Projects<'_>, what: What) {
    if !matches!(what, What::Inventory(Part::All) | What::Downgrade) {
        return;
    }
    let lands = targets.iter().flat_map(|target| {
        let account = target.host.account.as_ref().map(|account| account.value.as_str());
        projects.on(&target.name).iter().filter_map(move |project| {
            let file = project.env_file.as_ref()?.as_written();
            Some(Lands { file, account: account?, host: target.name.as_str() })
        })
    });
    for warning in accounts::warnings(lands) {
        print::note(&format!("warning: {warning}"));
    }
}

/// No host could start because all are held by somebody else.
fn all_held(recap: &Recap, deployed: &[Deployed]) -> bool {
    let started = recap.results.iter().filter(|result| result.status != Status::Skipped).count();
    started > 0 && deployed.iter().filter(|one| one.is_held).count() == started
}

/// Shows what differs: as JSON a line per host, else each distinct set of changes once with the hosts it is for.
fn show(ctx: &Ctx, deployed: &[Deployed], diff: bool) -> Result<(), Error> {
    if ctx.global.json {
        for one in deployed {
            let line = ResultLine::of(&one.result).with("changes", &one.changes).with("notes", &one.notes);
            printed(print::json_line(&line))?;
        }
        return Ok(());
    }
    if diff {
        show_changes(deployed)?;
    }
    let mut notes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in deployed {
        for note in &one.notes {
            notes.entry(note).or_default().push(&one.result.host);
        }
    }
    for (note, hosts) in notes.iter().filter(|_| !ctx.global.quiet) {
        print::note(&format!("note: {}: {note}", fold_names(hosts)));
    }
    Ok(())
}

fn show_changes(deployed: &[Deployed]) -> Result<(), Error> {
    let mut folded: Vec<(&[Change], Vec<&str>)> = Vec::new();
    for one in deployed.iter().filter(|one| !one.changes.is_empty()) {
        match folded.iter_mut().find(|(changes, _)| *changes == one.changes) {
            Some((_, hosts)) => hosts.push(&one.result.host),
            None => folded.push((&one.changes, vec![&one.result.host])),
        }
    }
    for (changes, hosts) in folded {
        printed(print::text(&format!("{}: {}\n", fold_names(&hosts), summary(changes))))?;
        for change in changes {
            let project = change.project.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
            printed(print::text(&format!("  {project}{} {}\n", change.action.as_str(), change.name)))?;
            for line in change.diff.lines() {
                printed(print::text(&format!("    {line}\n")))?;
            }
        }
    }
    Ok(())
}

impl Ctx {
    /// Begins the record of a run; where there is no place for it, one line says so.
    pub(crate) fn record(&self, begin: &Begin) -> Recorder {
        let folder = dirs::state_dir().map(|state| runs::folder(&state, &begin.fleet));
        recorded_in(folder.as_deref(), begin)
    }
}

/// Begins a record in a folder, if there is one; where it cannot be written, one line says so.
pub(super) fn recorded_in(folder: Option<&Path>, begin: &Begin) -> Recorder {
    let Some(folder) = folder else { return Recorder::default() };
    Recorder::begin(folder, begin).unwrap_or_else(|error| {
        print::note(&format!(
            "warning: {} cannot be written, so this run is not recorded: {error}",
            folder.display()
        ));
        Recorder::default()
    })
}
