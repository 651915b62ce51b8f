//! The project a service verb addresses, and how a service's state is printed.

use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Ctx;
use crate::config::types::Config;
use crate::error::{Error, Exit, in_words};
use crate::output::printed;
use crate::output::{self, Format};
use crate::service::install::InstallError;
use crate::service::systemctl::Manager;
use crate::service::{self, Account, Project, ServiceError, Status, Unanswered, linger};

/// Loads the project that `--config` names. Root, called through sudo, acts for the account whose project it is where a
/// unit of the system runs it.
///
/// # Errors
/// When the file is not called `agent-runner.toml`, cannot be loaded, or its folder's name fits no unit.
pub(crate) fn load(ctx: &Ctx) -> Result<Project, Error> {
    load_for(ctx, owner(ctx))
}

/// Returns the account whose project `--config` names: as root through sudo, a folder of the caller's is the caller's.
pub(crate) fn owner(ctx: &Ctx) -> Account {
    let owner = |config: &Path| fs::metadata(config).map(|meta| meta.uid()).ok();
    let invoker = ctx.sudo_account().filter(|invoker| owner(&ctx.config) == Some(invoker.uid));
    invoker.unwrap_or_else(|| ctx.account())
}

/// Loads the project that `--config` names, run as `account`.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_for(ctx: &Ctx, account: Account) -> Result<Project, Error> {
    if ctx.config.file_name().is_none_or(|name| name != "agent-runner.toml") {
        let text = format!("{} is not called agent-runner.toml", ctx.config.display());
        return Err(Error::new(Exit::Config, text).hinted("this verb addresses a project by its folder"));
    }
    let loaded = Config::load(&ctx.config, Some(&account.home))?;
    let project = Project::of(&loaded.config, account);
    Project::check_name(&project.name).map_err(|error| Error::failed(error.to_string()))?;
    Ok(project)
}

/// Returns the program by the name that survives an upgrade.
///
/// # Errors
/// When the kernel does not tell.
pub(crate) fn program(ctx: &Ctx) -> Result<std::path::PathBuf, Error> {
    ctx.stable_program()
        .map_err(|error: io::Error| Error::failed("asking for this program's path").caused_by(error))
}

/// Prints a service's state.
///
/// # Errors
/// When stdout cannot be written.
pub(crate) fn print(ctx: &Ctx, project: &Project, status: &Status) -> Result<Exit, Error> {
    printed(match ctx.format {
        Format::Json => output::print_json(status),
        Format::Pretty => output::print(&pretty(&project.name, status)),
    })?;
    Ok(Exit::Ok)
}

/// Says that what is known of a service is not from the manager of its unit, and what helps.
pub(crate) fn note_unanswered(project: &Project, unanswered: Option<&Unanswered>) {
    let Some(unanswered) = unanswered else { return };
    output::note(&format!("warning: whether the unit runs is not known: {}", in_words(unanswered)));
    if let Some(hint) = way_out(project, unanswered) {
        output::note(&format!("hint: {hint}"));
    }
}

/// Turns a service verb's failure into the program's error.
pub(crate) fn failed(project: &Project, error: ServiceError) -> Error {
    let text = match &error {
        ServiceError::NotStarted { .. } => error.to_string(),
        ServiceError::Systemctl(_)
        | ServiceError::Signal { .. }
        | ServiceError::Wait { .. }
        | ServiceError::File(_) => "the service could not be reached".to_owned(),
    };
    match error {
        ServiceError::NotStarted { .. } => Error::failed(text),
        other @ ServiceError::Systemctl(_) => {
            let failed = Error::failed(text).caused_by(other);
            match service::look(project).unanswered.and_then(|unanswered| way_out(project, &unanswered)) {
                Some(hint) => failed.hinted(hint),
                None => failed,
            }
        }
        other @ (ServiceError::Signal { .. } | ServiceError::Wait { .. } | ServiceError::File(_)) => {
            Error::failed(text).caused_by(other)
        }
    }
}

/// Turns a failed install into the program's error.
pub(crate) fn not_installed(account: &Account, error: InstallError) -> Error {
    let mut failure = "the units were not installed";
    let hint = match &error {
        InstallError::NotStarted(..) => {
            failure = "the service does not run";
            Some("`agent-runner doctor` says what it needs; then `agent-runner start`".to_owned())
        }
        InstallError::Taken { .. } => Some("`--force` replaces it".to_owned()),
        InstallError::Detached { .. } => {
            Some("`agent-runner stop` ends it after its round; then install again".to_owned())
        }
        InstallError::Unreachable(_) => Some(format!(
            "{}; without systemd, `agent-runner start` detaches `serve`",
            linger::way_to_reach(account)
        )),
        InstallError::Unit(..) | InstallError::File(_) | InstallError::Systemctl(_) => None,
    };
    let failed = Error::failed(failure).caused_by(error);
    match hint {
        Some(hint) => failed.hinted(hint),
        None => failed,
    }
}

/// Turns a failed uninstall into the program's error.
pub(crate) fn not_removed(project: &Project, error: ServiceError) -> Error {
    Error::failed(format!("the units of {} were not removed", project.name)).caused_by(error)
}

fn way_out(project: &Project, unanswered: &Unanswered) -> Option<String> {
    match unanswered.manager {
        Manager::User { .. } => Some(linger::way_to_reach(&project.account)),
        Manager::System => None,
    }
}

fn pretty(name: &str, status: &Status) -> String {
    let mut text = String::new();
    let state = if status.active { "active" } else { "inactive" };
    let line = |text: &mut String, key: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {key:<8} {value}");
    };
    let _ = writeln!(text, "{name}: {state}");
    line(&mut text, "mode", status.mode.as_str());
    if let Some(pid) = status.pid {
        line(&mut text, "pid", &pid.to_string());
    }
    if let Some(uptime) = status.uptime_s.filter(|_| status.active) {
        line(
            &mut text,
            "uptime",
            &format!("{}h {:02}m {:02}s", uptime / 3600, uptime / 60 % 60, uptime % 60),
        );
    }
    if let Some(unit) = &status.unit_file {
        line(&mut text, "unit", unit);
    }
    text
}
