//! `agent-runner-fleet deploy`.

use agent_runner::apply::manifest::Part;
use clap::Args;

use crate::deploy::host::Depth;
use crate::error::{Error, Exit, usage};
use crate::runs::{self, Run};
use crate::verb::Ctx;
use crate::verb::order::{self, Order, Pace, What};

/// Bring agent, configuration and units to the hosts, batch by batch
///
/// Hosts are reached over SSH, given the agent that fits their machine, and switched to the new release, which they put
/// back by themselves unless it is confirmed over a new connection. Select hosts with --limit. A round in progress is
/// not cut short unless the inventory's rollout.drain says so. Hosts are taken in the inventory's order; the run is
/// recorded under the name that is printed first, and --resume takes up what it left.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Only these projects
    #[arg(value_name = "PROJECT")]
    projects: Vec<String>,
    /// Only look: what would change on each host
    #[arg(long)]
    check: bool,
    /// Show what was changed on each host, as --check shows what would be
    #[arg(long)]
    diff: bool,
    /// With --check: end with 32 when a host differs
    #[arg(long, requires = "check")]
    exit_code: bool,
    /// Only the hosts that a run left undone, failed or unreached, with its projects; `last` is the newest deploy
    #[arg(long, value_name = "RUN", conflicts_with = "projects")]
    resume: Option<String>,
    /// Bring the agent this controller carries also where a newer one is in use
    #[arg(long)]
    downgrade: bool,
    #[command(flatten)]
    pace: Pace,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory, the selection or a project's files are wrong: before any host is touched.
pub fn run(ctx: &Ctx, args: DeployArgs) -> Result<Exit, Error> {
    let resumed = args.resume.as_deref().map(|name| left_by(ctx, name)).transpose()?;
    let projects = match &resumed {
        Some(run) => run.begin.projects.clone(),
        None => args.projects,
    };
    let order = Order {
        verb: if args.check { "plan" } else { "deploy" },
        projects,
        what: if args.downgrade { What::Downgrade } else { What::Inventory(Part::All) },
        depth: if args.check { Depth::Check } else { Depth::Apply },
        pace: args.pace,
        resumed,
        of_run: None,
        diff: args.check || args.diff,
    };
    order::look(ctx, &order, args.exit_code)
}

fn left_by(ctx: &Ctx, name: &str) -> Result<Run, Error> {
    let inventory = ctx.inventory()?;
    let folder = dirs::state_dir().map(|state| runs::folder(&state, &inventory.fleet.name));
    let run = folder.as_deref().and_then(|folder| runs::find(folder, name, "deploy"));
    let run = run.ok_or_else(|| {
        usage(format!("no run of fleet {} is called {name:?}", inventory.fleet.name))
            .hinted("agent-runner-fleet audit lists the runs of this machine")
    })?;
    match run.begin.verb.as_str() {
        "deploy" => Ok(run),
        other => Err(usage(format!("run {name} was a {other}, not a deploy"))),
    }
}
