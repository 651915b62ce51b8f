//! `agent-runner install`.

use std::env;

use clap::Args;

use super::doctor;
use crate::error::{Error, Exit};
use crate::output::printed;
use crate::output::{self, Format};
use crate::service::install::{Clobber, InstallError, Installed, Request, Scope, Units, install};
use crate::service::linger::{self, Linger};
use crate::service::{Account, Acting};
use crate::verb::observed::{self, FileName};
use crate::verb::{Ctx, project};

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
        path: search_path(ctx, &project.account),
    };
    let told = |error| project::not_installed(&project.account, error);
    let installed = match install(&project, &request) {
        // What it lacks is told before the error.
        failed @ Err(InstallError::NotStarted(..)) => failed,
        other => Ok(other.map_err(told)?),
    };
    if args.system {
        output::note(&format!("start it with: sudo systemctl start '{}'", project.serve_unit()));
    } else if linger::linger(&project.account) == Linger::Off {
        let remedy = linger::remedy(&project.account);
        output::note(&format!("the service ends at logout, because lingering is off; {remedy} changes that"));
    }
    if !args.system {
        tell_what_fails(ctx);
    }
    let installed = installed.map_err(told)?;
    printed(match ctx.format {
        Format::Json => output::print_json(&installed),
        Format::Pretty => output::print(&pretty(&installed)),
    })?;
    Ok(Exit::Ok)
}

/// Returns the absolute folders of the caller's `PATH`, and the account's own programs first where root installs.
fn search_path(ctx: &Ctx, account: &Account) -> Option<String> {
    let given = ctx.env("PATH")?;
    let own = match account.acting {
        Acting::Itself => None,
        Acting::RootFor => Some(account.home.join(".local/bin")),
    };
    let folders = own.into_iter().chain(env::split_paths(&given)).filter(|folder| folder.is_absolute());
    env::join_paths(folders).ok()?.into_string().ok().filter(|path| !path.is_empty())
}

/// A unit that starts and gives up at once looks installed: what a round would fail over is told here.
fn tell_what_fails(ctx: &Ctx) {
    // It was loaded a moment ago; the Loop tells if that has changed.
    let Ok(config) = observed::load(ctx, FileName::Fixed) else { return };
    for check in doctor::checks(ctx, &config).iter().filter(|check| !check.ok) {
        output::note(&format!("warning: rounds will fail: {}: {}", check.name, check.reason));
        output::note(&format!("hint: {}, then `agent-runner start`", check.how_to_fix));
    }
}

fn pretty(installed: &Installed) -> String {
    let state = if installed.started { "enabled, started" } else { "enabled, not started" };
    let units = [Some(&installed.unit_path), installed.monitor_unit_path.as_ref()];
    units.into_iter().flatten().map(|unit| format!("{unit}: {state}\n")).collect()
}
