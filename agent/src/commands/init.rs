//! `agent-runner init`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// Scaffold agent-runner.toml, prompts/main.md and a .gitignore line
#[derive(Debug, Args)]
pub struct InitArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: InitArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
