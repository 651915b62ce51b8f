//! `agent-runner events`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Query or follow the event log
#[derive(Debug, Args)]
pub struct EventsArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: EventsArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
