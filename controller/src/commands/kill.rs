//! `agent-runner-fleet kill`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::agent_verb::{self, ProjectPatterns};

/// End the projects and their rounds now
#[derive(Debug, Args)]
pub struct KillArgs {
    #[command(flatten)]
    on: ProjectPatterns,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: KillArgs) -> Result<Exit, Error> {
    agent_verb::run(ctx, &args.on, &["kill"])
}
