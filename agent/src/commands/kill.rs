//! `agent-runner kill`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::service::{self, Mode, Project, ServiceError};
use crate::verb::{Ctx, project};

/// End the service and its round now: TERM, then KILL
#[derive(Debug, Args)]
pub struct KillArgs {}

/// Runs the verb.
///
/// # Errors
/// When a process cannot be signalled.
pub fn run(ctx: &Ctx, _args: KillArgs) -> Result<Exit, Error> {
    let project = project::load(ctx)?;
    let status = service::kill(&project).map_err(|error| not_killed(&project, error))?;
    project::print(ctx, &project, &status)
}

fn not_killed(project: &Project, error: ServiceError) -> Error {
    let failed = project::failed(project, error);
    if service::status(project).mode == Mode::SystemdSystem && !nix::unistd::geteuid().is_root() {
        let unit = project.serve_unit();
        // Without the stop first, systemd would start again what was killed.
        return failed.hinted(format!(
            "sudo systemctl --no-block stop '{unit}' && sudo systemctl kill --signal=SIGKILL '{unit}'"
        ));
    }
    failed
}
