//! `agent-runner install`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Write, enable and start the systemd unit
#[derive(Debug, Args)]
pub struct InstallArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: InstallArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
