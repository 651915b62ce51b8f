//! `agent-runner stop`.

use std::time::Instant;

use clap::Args;

use super::{Ctx, project};
use crate::error::{Error, Exit};
use crate::output::{self, Format};
use crate::service;

/// Stop the service after its round; `active: true` in the answer means that it still drains
#[derive(Debug, Args)]
pub struct StopArgs {}

/// Runs the verb.
///
/// # Errors
/// When the service cannot be asked.
pub fn run(ctx: &Ctx, _args: StopArgs) -> Result<Exit, Error> {
    let project = project::load(ctx)?;
    let since = Instant::now();
    if ctx.format == Format::Pretty {
        output::note(&format!("stopping {} ...", project.name));
    }
    let status = service::stop(&project).map_err(project::failed)?;
    if ctx.format == Format::Pretty {
        let seconds = since.elapsed().as_secs_f64();
        output::note(&if status.active {
            format!("{} still drains its round after {seconds:.1} s", project.name)
        } else {
            format!("stopped {} in {seconds:.1} s", project.name)
        });
    }
    project::print(ctx, &project, &status)
}
