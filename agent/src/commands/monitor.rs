//! `agent-runner monitor`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Watch for trouble and stop the service when it does harm
#[derive(Debug, Args)]
pub struct MonitorArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: MonitorArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
