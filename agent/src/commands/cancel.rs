//! `agent-runner cancel`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::service;
use crate::verb::{Ctx, project};

/// Interrupt the running round as Ctrl-C would; the service stops after it
#[derive(Debug, Args)]
pub struct CancelArgs {}

/// Runs the verb.
///
/// # Errors
/// When the service cannot be signalled.
pub fn run(ctx: &Ctx, _args: CancelArgs) -> Result<Exit, Error> {
    let project = project::load(ctx)?;
    let status = service::cancel(&project).map_err(|error| project::failed(&project, error))?;
    project::print(ctx, &project, &status)
}
