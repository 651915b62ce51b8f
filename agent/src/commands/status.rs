//! `agent-runner status`.

use clap::Args;
use jiff::Timestamp;

use crate::error::{Error, Exit};
use crate::output::printed;
use crate::output::{self, Format};
use crate::peek::{self, view};
use crate::service::{self, Look};
use crate::verb::{Ctx, project};

/// Show whether the service runs
#[derive(Debug, Args)]
pub struct StatusArgs {}

/// Runs the verb.
///
/// # Errors
/// When the configuration cannot be loaded.
pub fn run(ctx: &Ctx, _args: StatusArgs) -> Result<Exit, Error> {
    let project = project::load(ctx)?;
    let Look { status, unanswered } = service::look(&project);
    let exit = project::print(ctx, &project, &status)?;
    if let (Format::Pretty, false) = (ctx.format, status.active)
        && let Some(ended) = peek::ended(&project.layout)
    {
        printed(output::print(&format!("  ended    {}\n", view::why(&ended, Timestamp::now()))))?;
    }
    project::note_unanswered(&project, unanswered.as_ref());
    Ok(exit)
}
