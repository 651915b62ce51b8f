//! `agent-runner-fleet rollback`.

use clap::Args;

use crate::error::{Error, Exit, usage};
use crate::runs;
use crate::verb::Ctx;
use crate::verb::order::{self, Order, RolloutArgs, What};

/// Go back to the release before the one in use
///
/// The host keeps the files and the agent of the release before; it is switched to and confirmed as in a deploy, batch by
/// batch. What differed from the inventory before differs again: a deploy after it brings the newer release back, and so
/// does a second rollback. Without --run every selected project of every selected host goes back, also one that the newest
/// deploy never came to.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    rollout: RolloutArgs,
    /// Only what this run brought, as `audit` names it; `last` is this machine's newest deploy or push
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// As `deploy`.
pub fn run(ctx: &Ctx, args: RollbackArgs) -> Result<Exit, Error> {
    let of_run = match args.run.as_deref() {
        Some("last") => Some(newest(ctx)?),
        Some(_) | None => args.run,
    };
    let order = Order { of_run, ..args.rollout.order("rollback", What::Rollback) };
    order::run(ctx, &order).map(|(exit, _)| exit)
}

/// Returns the newest run of this machine that brought something.
fn newest(ctx: &Ctx) -> Result<String, Error> {
    let inventory = ctx.inventory()?;
    let folder = dirs::state_dir().map(|state| runs::folder(&state, &inventory.fleet.name));
    let of = |verb| runs::find(folder.as_deref()?, "last", verb).map(|run| run.begin.run);
    // Names begin with the time, so the greater one is the newer.
    ["deploy", "push"].into_iter().filter_map(of).max().ok_or_else(|| {
        usage(format!("no deploy or push of fleet {} is recorded here", inventory.fleet.name))
            .hinted("agent-runner-fleet audit names the runs that the hosts remember")
    })
}
