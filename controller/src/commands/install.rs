//! `agent-runner-fleet install`.

use agent_runner::apply::manifest::Part;
use clap::Args;

use crate::deploy::host::Depth;
use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::order::{self, Order, PaceArgs, What};

/// Write, enable and start the units of the projects, and nothing else
///
/// For hosts that have agent and configuration already. Confirmed or put back as in a deploy.
#[derive(Debug, Args)]
pub struct InstallArgs {
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
pub fn run(ctx: &Ctx, args: InstallArgs) -> Result<Exit, Error> {
    let order = Order {
        verb: "install",
        projects: args.projects,
        what: What::Inventory(Part::Units),
        depth: if args.check { Depth::Check } else { Depth::Apply },
        pace: args.pace.pace(),
        resumed: None,
    };
    order::run(ctx, &order).map(|(exit, _)| exit)
}
