//! `agent-runner status`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Show whether the service runs
#[derive(Debug, Args)]
pub struct StatusArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: StatusArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
