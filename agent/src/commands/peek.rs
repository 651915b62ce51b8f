//! `agent-runner peek`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Show what is going on
#[derive(Debug, Args)]
pub struct PeekArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: PeekArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
