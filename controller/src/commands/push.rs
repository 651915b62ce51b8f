//! `agent-runner-fleet push`.

use agent_runner::apply::manifest::Part;
use clap::Args;

use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::order::{RolloutArgs, What};

/// Bring configurations and prompts to the hosts, and nothing else
///
/// Agent, environment and units stay as they are. A Loop that runs takes the files over at the end of its round; one that
/// is stopped stays stopped. Confirmed or put back as in a deploy.
#[derive(Debug, Args)]
pub struct PushArgs {
    #[command(flatten)]
    rollout: RolloutArgs,
}

/// Runs the verb.
///
/// # Errors
/// As `deploy`.
pub fn run(ctx: &Ctx, args: PushArgs) -> Result<Exit, Error> {
    args.rollout.run(ctx, "push", What::Inventory(Part::Files))
}
