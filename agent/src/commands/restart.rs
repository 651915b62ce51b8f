//! `agent-runner restart`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Stop and start the service
#[derive(Debug, Args)]
pub struct RestartArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: RestartArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
