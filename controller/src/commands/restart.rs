//! `agent-runner-fleet restart`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::agent_verb::{self, ProjectPatterns};

/// Stop and start the projects
#[derive(Debug, Args)]
pub struct RestartArgs {
    #[command(flatten)]
    on: ProjectPatterns,
    /// End the round in progress instead of waiting for it
    #[arg(long)]
    force: bool,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: RestartArgs) -> Result<Exit, Error> {
    agent_verb::run(ctx, &args.on, if args.force { &["restart", "--force"] } else { &["restart"] })
}
