//! `agent-runner start`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::service::{self, Mode, Project, ServiceError};
use crate::verb::{Ctx, project};

/// Start the service: its unit, or without one `serve` in a session of its own
#[derive(Debug, Args)]
pub struct StartArgs {}

/// Runs the verb.
///
/// # Errors
/// When the service does not come up.
pub fn run(ctx: &Ctx, _args: StartArgs) -> Result<Exit, Error> {
    let project = project::load(ctx)?;
    let started = service::start(&project, &project::program(ctx)?);
    let status = started.map_err(|error| not_started(&project, error))?;
    project::print(ctx, &project, &status)
}

fn not_started(project: &Project, error: ServiceError) -> Error {
    let failed = project::failed(project, error);
    let by_system = service::status(project).mode == Mode::SystemdSystem;
    if by_system && !nix::unistd::geteuid().is_root() {
        return failed.hinted(format!("sudo systemctl start '{}'", project.serve_unit()));
    }
    failed
}
