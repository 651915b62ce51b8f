//! `agent-runner round`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Run one round
#[derive(Debug, Args)]
pub struct RoundArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: RoundArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
