//! `agent-runner start`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Start the service
#[derive(Debug, Args)]
pub struct StartArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: StartArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
