//! `agent-runner start`.

use clap::Args;

use super::{Ctx, project};
use crate::error::{Error, Exit};
use crate::service;

/// Start the service: its unit, or without one `serve` in a session of its own
#[derive(Debug, Args)]
pub struct StartArgs {}

/// Runs the verb.
///
/// # Errors
/// When the service does not come up.
pub fn run(ctx: &Ctx, _args: StartArgs) -> Result<Exit, Error> {
    let project = project::load(ctx)?;
    let status = service::start(&project, &project::program(ctx)?).map_err(project::failed)?;
    project::print(ctx, &project, &status)
}
