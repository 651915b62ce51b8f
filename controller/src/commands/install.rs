//! `agent-runner-fleet install`.

use agent_runner::apply::manifest::Part;
use clap::Args;

use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::order::{RolloutArgs, What};

/// Write, enable and start the units of the projects, and nothing else
///
/// For hosts that have agent and configuration already. Confirmed or put back as in a deploy.
#[derive(Debug, Args)]
pub struct InstallArgs {
    #[command(flatten)]
    rollout: RolloutArgs,
}

/// Runs the verb.
///
/// # Errors
/// As `deploy`.
pub fn run(ctx: &Ctx, args: InstallArgs) -> Result<Exit, Error> {
    args.rollout.run(ctx, "install", What::Inventory(Part::Units))
}
