//! `agent-runner doctor`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Check everything a round needs, without running one
#[derive(Debug, Args)]
pub struct DoctorArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: DoctorArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
