//! `agent-runner install`.

use clap::Args;

use super::{Ctx, project};
use crate::cli::printed;
use crate::error::{Error, Exit};
use crate::output::{self, Format};
use crate::service::install::{Clobber, Installed, Request, Scope, Units, install};
use crate::service::linger::{self, Linger};

/// Write, enable and start the systemd unit
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// Write a unit of the system that runs as the account that called sudo; it is not started
    #[arg(long)]
    system: bool,
    /// Also install the monitor's unit
    #[arg(long)]
    monitor: bool,
    /// Replace a unit of this name that belongs to another folder
    #[arg(long)]
    force: bool,
}

/// Runs the verb.
///
/// # Errors
/// When the units cannot be written, enabled or started.
pub fn run(ctx: &Ctx, args: InstallArgs) -> Result<Exit, Error> {
    let account = if args.system {
        ctx.sudo_account().ok_or_else(|| {
            Error::failed(
                "a unit of the system is installed by root, called through sudo by the account it runs as",
            )
            .hinted("sudo agent-runner install --system")
        })?
    } else {
        ctx.account()
    };
    let project = project::load_for(ctx, account)?;
    let request = Request {
        program: project::program(ctx)?,
        scope: if args.system { Scope::System } else { Scope::User },
        units: if args.monitor { Units::ServeAndMonitor } else { Units::Serve },
        clobber: if args.force { Clobber::Replace } else { Clobber::Refuse },
    };
    let installed = install(&project, &request).map_err(project::not_installed)?;
    if args.system {
        output::note(&format!("start it with: sudo systemctl start '{}'", project.serve_unit()));
    } else if linger::linger(&project.account) == Linger::Off {
        let remedy = linger::remedy(&project.account);
        output::note(&format!("the service ends at logout, because lingering is off; {remedy} changes that"));
    }
    printed(match ctx.format {
        Format::Json => output::print_json(&installed),
        Format::Pretty => output::print(&pretty(&installed)),
    })?;
    Ok(Exit::Ok)
}

fn pretty(installed: &Installed) -> String {
    let state = if installed.started { "enabled, started" } else { "enabled, not started" };
    let units = [Some(&installed.unit_path), installed.monitor_unit_path.as_ref()];
    units.into_iter().flatten().map(|unit| format!("{unit}: {state}\n")).collect()
}
