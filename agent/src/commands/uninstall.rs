//! `agent-runner uninstall`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::output;
use crate::service::uninstall::{self, Uninstalled};
use crate::service::{Project, ServiceError};
use crate::verb::{Ctx, project};

/// Stop, disable and remove the systemd units; those of the system through sudo
///
/// A unit whose round has not ended after 5 s is disabled and stays, because without its file systemd would kill the
/// round after 90 s: the verb ends with 1, and done again once the round has ended, it removes the unit.
#[derive(Debug, Args)]
pub struct UninstallArgs {}

/// Runs the verb.
///
/// # Errors
/// When a unit cannot be stopped or removed, or has to stay because its round drains.
pub fn run(ctx: &Ctx, _args: UninstallArgs) -> Result<Exit, Error> {
    let project = project::load(ctx)?;
    let system: Vec<_> = [project.serve_unit(), project.monitor_unit()]
        .into_iter()
        .filter_map(|unit| Some((uninstall::system_unit(&project.account, &unit)?, unit)))
        .collect();
    if system.is_empty() {
        return tell(&project, uninstall::uninstall(&project));
    }
    if ctx.account().uid == 0 {
        return tell(&project, uninstall::uninstall_system(&project));
    }
    output::note(&format!("{}; run:", uninstall::OF_THE_SYSTEM));
    for (path, unit) in system {
        output::raw_error(&format!(
            "  sudo systemctl disable --now '{unit}'\n  sudo rm '{}'\n",
            path.display()
        ));
    }
    output::raw_error("  sudo systemctl daemon-reload\n");
    Ok(Exit::Ok)
}

fn tell(project: &Project, done: Result<Uninstalled, ServiceError>) -> Result<Exit, Error> {
    let done = done.map_err(|error| project::not_removed(project, error))?;
    for path in &done.removed {
        output::note(&format!("removed {}", path.display()));
    }
    if let Some(unit) = done.draining {
        let name = &project.name;
        let text = format!("{name} {}, so {} stays until it has", uninstall::STILL_DRAINS, unit.display());
        let hint = "uninstall again once the round has ended; `agent-runner kill` ends it now";
        return Err(Error::failed(text).hinted(hint));
    }
    if done.removed.is_empty() {
        output::note(&format!("{} has no unit of this account", project.name));
    }
    Ok(Exit::Ok)
}
