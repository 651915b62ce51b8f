//! `agent-runner apply`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Bring this host to the state of a manifest read from stdin
#[derive(Debug, Args)]
pub struct ApplyArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: ApplyArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
