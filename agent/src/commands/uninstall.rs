//! `agent-runner uninstall`.

use clap::Args;

use crate::error::{Error, Exit};
use crate::output;
use crate::service::install;
use crate::verb::{Ctx, project};

/// Stop, disable and remove the systemd units; those of the system through sudo
#[derive(Debug, Args)]
pub struct UninstallArgs {}

/// Runs the verb.
///
/// # Errors
/// When a unit cannot be stopped or removed.
pub fn run(ctx: &Ctx, _args: UninstallArgs) -> Result<Exit, Error> {
    let project = project::load(ctx)?;
    let system: Vec<_> = [project.serve_unit(), project.monitor_unit()]
        .into_iter()
        .filter_map(|unit| Some((install::system_unit(&project.account, &unit)?, unit)))
        .collect();
    if system.is_empty() {
        let removed = install::uninstall(&project).map_err(|error| project::not_removed(&project, error))?;
        for path in &removed {
            output::note(&format!("removed {}", path.display()));
        }
        if removed.is_empty() {
            output::note(&format!("{} has no unit of this account", project.name));
        }
        return Ok(Exit::Ok);
    }
    if ctx.account().uid == 0 {
        install::uninstall_system(&project).map_err(|error| project::not_removed(&project, error))?;
        return Ok(Exit::Ok);
    }
    output::note(&format!("{}; run:", install::OF_THE_SYSTEM));
    for (path, unit) in system {
        output::raw_error(&format!(
            "  sudo systemctl disable --now '{unit}'\n  sudo rm '{}'\n",
            path.display()
        ));
    }
    output::raw_error("  sudo systemctl daemon-reload\n");
    Ok(Exit::Ok)
}
