//! `agent-runner restart`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::service::{self, Mode, Restart};
use crate::verb::{Ctx, project};

/// Stop the service after its round and start it again; without a unit the Loop is handed over between two rounds
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Kill the round instead of waiting for it
    #[arg(long)]
    force: bool,
}

/// Runs the verb.
///
/// # Errors
/// When there is nothing to restart, or a step is refused.
pub fn run(ctx: &Ctx, args: RestartArgs) -> Result<Exit, Error> {
    let project = project::load(ctx)?;
    let before = service::status(&project);
    match before.mode {
        Mode::None => {
            let error = Error::failed(format!("{} has no service to restart", project.name));
            return Err(error.hinted("`agent-runner start` starts one"));
        }
        Mode::SystemdSystem if !nix::unistd::geteuid().is_root() => {
            let error = Error::failed(format!("{} is managed by the system", project.name));
            return Err(error.hinted(format!("sudo systemctl restart '{}'", project.serve_unit())));
        }
        Mode::SystemdSystem | Mode::SystemdUser | Mode::PidFile => {}
    }
    let how = if args.force { Restart::Force } else { Restart::AfterRound };
    let status = service::restart(&project, &project::program(ctx)?, how)
        .map_err(|error| project::failed(&project, error))?;
    project::print(ctx, &project, &status)
}
