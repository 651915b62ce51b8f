//! `agent-runner cancel`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Interrupt the running round, then stop
#[derive(Debug, Args)]
pub struct CancelArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: CancelArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
