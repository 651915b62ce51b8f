//! `agent-runner-fleet status`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::verb::Ctx;
use crate::verb::agent_verb::{self, ProjectPatterns};

/// Show whether the projects run
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    on: ProjectPatterns,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: StatusArgs) -> Result<Exit, Error> {
    agent_verb::look(ctx, &args.on, &["status"])
}
