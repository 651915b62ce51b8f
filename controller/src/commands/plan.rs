//! `agent-runner-fleet plan`.

use agent_runner::apply::manifest::Part;
use clap::Args;

use crate::deploy::host::Depth;
use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::order::{self, Order, Pace, What};

/// Show what a deploy would change
///
/// Writes nothing, here or there. Hosts with the same changes are shown once, with unified diffs; secrets are shown as the
/// beginning of their hash.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Only these projects
    #[arg(value_name = "PROJECT")]
    projects: Vec<String>,
    /// End with 32 when a host differs
    #[arg(long)]
    exit_code: bool,
}

/// Runs the verb.
///
/// # Errors
/// As `deploy`.
pub fn run(ctx: &Ctx, args: PlanArgs) -> Result<Exit, Error> {
    let order = Order {
        verb: "plan",
        projects: args.projects,
        what: What::Inventory(Part::All),
        depth: Depth::Check,
        pace: Pace::default(),
        resumed: None,
        of_run: None,
        diff: true,
    };
    order::look(ctx, &order, args.exit_code)
}
