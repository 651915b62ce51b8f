//! `agent-runner-fleet deploy`, and what `plan` shares with it.

use std::sync::Arc;

use agent_runner::apply::report::Change;
use agent_runner_inventory::{Inventory, Share, fold_names};
use clap::Args;

use super::Ctx;
use super::context::printed;
use super::plan::PlanArgs;
use crate::deploy::host::{Deployed, Depth, HostDeploy};
use crate::deploy::manifest::{Maker, scope};
use crate::deploy::run::run as roll_out;
use crate::error::{Error, Exit, HostBits, config, usage};
use crate::fanout::FanoutOptions;
use crate::output::print;
use crate::output::progress::Progress;
use crate::output::recap::Status;
use crate::output::result_line::ResultLine;
use crate::targets::{Projects, Target};

/// Bring agent, configuration and units to the hosts, batch by batch
///
/// Hosts are reached over SSH, given the agent that fits their machine, and switched to the new release, which they put
/// back by themselves unless it is confirmed over a new connection. Select hosts with --limit. A round in progress is
/// not cut short unless the inventory's rollout.drain says so.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Only these projects
    #[arg(value_name = "PROJECT")]
    projects: Vec<String>,
    /// Only look: what would change on each host
    #[arg(long)]
    check: bool,
    /// With --check: end with 32 when a host differs
    #[arg(long, requires = "check")]
    exit_code: bool,
    /// The size of the first batch, instead of the inventory's rollout.batch
    #[arg(long, value_name = "N")]
    canary: Option<u32>,
    /// Start no further host once more than this failed (N or N%), instead of the inventory's
    #[arg(long, value_name = "N|N%")]
    max_fail: Option<Share>,
}

impl DeployArgs {
    /// Returns the arguments of a plan.
    pub fn of_plan(plan: PlanArgs) -> DeployArgs {
        let PlanArgs { projects, exit_code } = plan;
        DeployArgs { projects, check: true, exit_code, canary: None, max_fail: None }
    }
}

/// Runs the verb.
///
/// # Errors
/// When the inventory, the selection or a project's files are wrong: before any host is touched.
pub fn run(ctx: &Ctx, args: DeployArgs) -> Result<Exit, Error> {
    let depth = if args.check { Depth::Check } else { Depth::Apply };
    run_to(ctx, &args, depth)
}

/// Runs the verb as deep as `depth` says.
///
/// # Errors
/// As [`run`].
pub fn run_to(ctx: &Ctx, args: &DeployArgs, depth: Depth) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let projects = ctx.projects(&inventory, &args.projects)?;
    let mut targets = ctx.targets(&inventory, &[])?;
    targets.retain(|target| !projects.on(&target.name).is_empty());
    if targets.is_empty() {
        return Err(usage("none of the selected hosts has such a project")
            .hinted("give the project an `on` that names them, or select others with --limit"));
    }
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let tasks = tasks(ctx, &inventory, &targets, &projects, depth)?;
    let mut rules = inventory.rollout.clone();
    if let Some(canary) = args.canary {
        rules.batch.insert(0, agent_runner_inventory::Batch(Share::Count(canary.max(1))));
    }
    if let Some(max_fail) = args.max_fail {
        rules.max_fail = max_fail;
    }
    if depth == Depth::Check {
        // Looking harms nobody: all at once, and no failure keeps the others from being looked at.
        rules.batch = vec![agent_runner_inventory::Batch(Share::Percent(100))];
        rules.max_fail = Share::Percent(100);
    }
    let verb = if depth == Depth::Check { "plan" } else { "deploy" };
    let progress = Arc::new(Progress::new(ctx.show(), verb, tasks.len()));
    let (recap, deployed) = ctx.block_on(async {
        let cancel = ctx.cancel(&progress)?;
        let forks = ctx.forks(&inventory);
        let options = FanoutOptions { forks, most: forks, per_host_deadline: None, cancel };
        Ok(roll_out(&ctx.client(), tasks, &rules, &options, &progress).await)
    })?;
    progress.finish();
    show(ctx, &deployed, depth)?;
    let exit = ctx.finish(&inventory, &recap)?;
    let drift = depth == Depth::Check && args.exit_code && recap.count(Status::Changed) > 0;
    Ok(if drift { exit.and(HostBits::DRIFT) } else { exit })
}

/// Returns what is to be done on each host, every file read and every configuration checked.
///
/// # Errors
/// When a project's files are wrong, or one host's projects run in different scopes.
pub fn tasks(
    ctx: &Ctx,
    inventory: &Inventory,
    targets: &[Target],
    projects: &Projects<'_>,
    depth: Depth,
) -> Result<Vec<HostDeploy>, Error> {
    let home = ctx.home();
    let maker = Maker { inventory, home: home.as_deref(), by: ctx.by() };
    let mut tasks = Vec::with_capacity(targets.len());
    for target in targets {
        let on = projects.on(&target.name);
        let mut scopes: Vec<_> = on.iter().map(|project| scope(project.service.scope)).collect();
        scopes.dedup();
        let [scope] = scopes.as_slice() else {
            return Err(config(format!("{}: its projects run in different scopes", target.name))
                .hinted("give all projects of one host the same service.scope"));
        };
        let manifest = maker.manifest(&target.host, on).map_err(|error| {
            let text = error.to_string();
            match std::error::Error::source(&error) {
                Some(_) => config(text).caused_by(error),
                None => config(text),
            }
        })?;
        tasks.push(HostDeploy {
            host: target.name.to_string(),
            settings: target.settings.clone(),
            manifest,
            scope: *scope,
            sudo: target.sudo(),
            depth,
        });
    }
    Ok(tasks)
}

/// Shows what differs: as JSON a line per host, else each distinct set of changes once with the hosts it is for.
fn show(ctx: &Ctx, deployed: &[Deployed], depth: Depth) -> Result<(), Error> {
    if ctx.global.json {
        for one in deployed {
            printed(print::json_line(&ResultLine::of(&one.result).with("changes", &one.changes)))?;
        }
        return Ok(());
    }
    if depth == Depth::Apply {
        return Ok(());
    }
    let mut folded: Vec<(&[Change], Vec<&str>)> = Vec::new();
    for one in deployed.iter().filter(|one| !one.changes.is_empty()) {
        match folded.iter_mut().find(|(changes, _)| *changes == one.changes) {
            Some((_, hosts)) => hosts.push(&one.result.host),
            None => folded.push((&one.changes, vec![&one.result.host])),
        }
    }
    for (changes, hosts) in folded {
        printed(print::text(&format!("{}\n", fold_names(&hosts))))?;
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
