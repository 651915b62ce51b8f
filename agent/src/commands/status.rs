//! `agent-runner status`.

use clap::Args;

use super::{Ctx, project};
use crate::error::{Error, Exit};
use crate::service;

/// Show whether the service runs
#[derive(Debug, Args)]
pub struct StatusArgs {}

/// Runs the verb.
///
/// # Errors
/// When the configuration cannot be loaded.
pub fn run(ctx: &Ctx, _args: StatusArgs) -> Result<Exit, Error> {
    let project = project::load(ctx)?;
    project::print(ctx, &project, &service::status(&project))
}
