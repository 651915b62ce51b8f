//! `agent-runner-fleet rollback`.

use clap::Args;

use crate::deploy::host::Depth;
use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::order::{self, Order, PaceArgs, What};

/// Go back to the release before the one in use
///
/// The host keeps the files and the agent of the release before; it is switched to and confirmed as in a deploy, batch by
/// batch. What differed from the inventory before differs again: a deploy after it brings the newer release back, and so
/// does a second rollback.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Only these projects
    #[arg(value_name = "PROJECT")]
    projects: Vec<String>,
    /// Only look: what would change on each host
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    pace: PaceArgs,
}

/// Runs the verb.
///
/// # Errors
/// As `deploy`.
pub fn run(ctx: &Ctx, args: RollbackArgs) -> Result<Exit, Error> {
    let order = Order {
        verb: "rollback",
        projects: args.projects,
        what: What::Rollback,
        depth: if args.check { Depth::Check } else { Depth::Apply },
        pace: args.pace.pace(),
        resumed: None,
    };
    order::run(ctx, &order).map(|(exit, _)| exit)
}
