//! `agent-runner watch`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Show what is going on, again and again
#[derive(Debug, Args)]
pub struct WatchArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: WatchArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
