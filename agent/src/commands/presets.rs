//! `agent-runner presets`.

use clap::Args;

use super::Ctx;
use crate::error::{Error, Exit};

/// List the agent CLIs that are known, and how their output is read
#[derive(Debug, Args)]
pub struct PresetsArgs {}

/// Runs the verb.
///
/// # Errors
/// As docs/commands.md says.
pub fn run(_ctx: &Ctx, _args: PresetsArgs) -> Result<Exit, Error> {
    Err(Error::failed("not built yet"))
}
