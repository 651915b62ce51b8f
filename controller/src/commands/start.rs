//! `agent-runner-fleet start`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::agent_verb::{self, ProjectPatterns};

/// Start the projects
#[derive(Debug, Args)]
pub struct StartArgs {
    #[command(flatten)]
    on: ProjectPatterns,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: StartArgs) -> Result<Exit, Error> {
    agent_verb::run(ctx, &args.on, &["start"])
}
