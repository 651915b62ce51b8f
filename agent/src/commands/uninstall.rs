//! `agent-runner uninstall`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Stop, disable and remove the systemd units
#[derive(Debug, Args)]
pub struct UninstallArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: UninstallArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
