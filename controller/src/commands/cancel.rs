//! `agent-runner-fleet cancel`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::agent_verb::{self, ProjectPatterns};

/// Interrupt the running rounds, then stop
#[derive(Debug, Args)]
pub struct CancelArgs {
    #[command(flatten)]
    on: ProjectPatterns,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: CancelArgs) -> Result<Exit, Error> {
    agent_verb::run(ctx, &args.on, &["cancel"])
}
