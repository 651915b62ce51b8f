//! `agent-runner stop`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Stop the service after its round
#[derive(Debug, Args)]
pub struct StopArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: StopArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
