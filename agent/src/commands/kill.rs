//! `agent-runner kill`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// End the service and its round now
#[derive(Debug, Args)]
pub struct KillArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: KillArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
