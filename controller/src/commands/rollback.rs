//! `agent-runner-fleet rollback`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::order::{RolloutArgs, What};

/// Go back to the release before the one in use
///
/// The host keeps the files and the agent of the release before; it is switched to and confirmed as in a deploy, batch by
/// batch. What differed from the inventory before differs again: a deploy after it brings the newer release back, and so
/// does a second rollback.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    rollout: RolloutArgs,
}

/// Runs the verb.
///
/// # Errors
/// As `deploy`.
pub fn run(ctx: &Ctx, args: RollbackArgs) -> Result<Exit, Error> {
    args.rollout.run(ctx, "rollback", What::Rollback)
}
