//! `agent-runner migrate`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Bring an older agent-runner.toml to today's form
#[derive(Debug, Args)]
pub struct MigrateArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: MigrateArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
