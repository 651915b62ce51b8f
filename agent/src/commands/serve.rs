//! `agent-runner serve`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Run rounds until told to stop
#[derive(Debug, Args)]
pub struct ServeArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: ServeArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
