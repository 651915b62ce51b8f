//! `agent-runner kill`.

use clap::Args;

use super::{Ctx, project};
use crate::error::{Error, Exit};
use crate::service;

/// End the service and its round now: TERM, then KILL
#[derive(Debug, Args)]
pub struct KillArgs {}

/// Runs the verb.
///
/// # Errors
/// When a process cannot be signalled.
pub fn run(ctx: &Ctx, _args: KillArgs) -> Result<Exit, Error> {
    let project = project::load(ctx)?;
    let status = service::kill(&project).map_err(project::failed)?;
    project::print(ctx, &project, &status)
}
