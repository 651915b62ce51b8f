//! `agent-runner-fleet stop`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::agent_verb::{self, ProjectPatterns};

/// Stop the projects after their round
#[derive(Debug, Args)]
pub struct StopArgs {
    #[command(flatten)]
    on: ProjectPatterns,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: StopArgs) -> Result<Exit, Error> {
    agent_verb::run(ctx, &args.on, &["stop"])
}
