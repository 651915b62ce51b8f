//! `agent-runner-fleet push`.

use agent_runner::apply::manifest::Part;
use clap::Args;

use crate::deploy::host::Depth;
use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::order::{self, Order, PaceArgs, What};

/// Bring configurations and prompts to the hosts, and nothing else
///
/// Agent, environment and units stay as they are. A Loop that runs takes the files over at the end of its round; one that
/// is stopped stays stopped. Confirmed or put back as in a deploy.
#[derive(Debug, Args)]
pub struct PushArgs {
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
pub fn run(ctx: &Ctx, args: PushArgs) -> Result<Exit, Error> {
    let order = Order {
        verb: "push",
        projects: args.projects,
        what: What::Inventory(Part::Files),
        depth: if args.check { Depth::Check } else { Depth::Apply },
        pace: args.pace.pace(),
        resumed: None,
    };
    order::run(ctx, &order).map(|(exit, _)| exit)
}
