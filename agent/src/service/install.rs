//! Writing a project's units, and the guard against another project's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::systemctl::{Manager, SystemctlError};
use super::unit::{self, Owner, Spec, UnitError};
use super::{Mode, Project, status};
use crate::store::atomic;
use crate::store::file_error::FileError;

/// The largest unit that is read, in bytes.
const UNIT_MAX: usize = 1 << 20;

/// What `install` did; the order of the fields is contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The Loop's unit.
    pub unit_path: String,
    /// The monitor's unit, when it was asked for.
    pub monitor_unit_path: Option<String>,
    /// Whether they start with the manager.
    pub enabled: bool,
    /// Whether they were started.
    pub started: bool,
}

/// Whose systemd a unit belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The account's.
    User,
    /// The system's.
    System,
}

/// Which units are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// The Loop's.
    Serve,
    /// The Loop's and the monitor's.
    ServeAndMonitor,
}

/// What happens to a unit of the same name that belongs to another folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clobber {
    /// It is left and the install refused.
    Refuse,
    /// It is replaced.
    Replace,
}

/// What is to be installed.
#[derive(Debug, Clone)]
pub struct Request {
    /// The program, by the name that survives an upgrade.
    pub program: PathBuf,
    /// Whose systemd.
    pub scope: Scope,
    /// Which units.
    pub units: Units,
    /// What happens to another project's unit.
    pub clobber: Clobber,
    /// The caller's `PATH`: what they can run, the agent can.
    pub path: Option<String>,
}

/// An install that was refused or failed.
#[derive(Debug, Error)]
pub enum InstallError {
    /// The unit's text cannot be made.
    #[error("the unit of {0} cannot be written")]
    Unit(String, #[source] UnitError),
    /// There is a unit of this name for another folder.
    #[error("{path} belongs to {owner}")]
    Taken {
        /// The unit.
        path: String,
        /// Its work_dir, or that it names none.
        owner: String,
    },
    /// A Loop that no unit started holds the project.
    #[error("the Loop runs detached, as process {pid}")]
    Detached {
        /// Its process.
        pid: i32,
    },
    /// The manager cannot be reached.
    #[error("systemd of this account does not answer")]
    Unreachable(#[source] SystemctlError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// systemd refused a unit.
    #[error("the service manager refused")]
    Systemctl(#[from] SystemctlError),
    /// The units are written and enabled, but this one gave up at once.
    #[error("{0} is installed and enabled, but does not start")]
    NotStarted(String, #[source] SystemctlError),
}

/// Returns what the units of a project are made from.
pub fn spec(project: &Project, program: &Path, scope: Scope) -> Spec {
    let account = &project.account;
    Spec {
        project: project.name.clone(),
        program: program.to_owned(),
        work_dir: project.work_dir.clone(),
        config: project.config.clone(),
        env_file: match scope {
            Scope::User => account.env_file(&project.name),
            Scope::System => account.system_env_file(&project.name),
        },
        path: None,
        stop_timeout_s: project.stop_timeout_s,
        owner: match scope {
            Scope::User => None,
            Scope::System => Some(Owner { user: account.user.clone(), group: account.group.clone() }),
        },
    }
}

/// Writes, enables and (in user scope) starts the units. Doing it twice changes nothing.
///
/// # Errors
/// When another folder's unit is in the way, the manager does not answer, or a step fails.
pub fn install(project: &Project, request: &Request) -> Result<Installed, InstallError> {
    let (manager, folder) = match request.scope {
        Scope::User => (Manager::user(&project.account), project.account.user_units()),
        Scope::System => (Manager::System, project.account.system_units().to_owned()),
    };
    manager.reach().map_err(InstallError::Unreachable)?;
    let before = status(project);
    if let Some(pid) = before.pid.filter(|_| before.active && before.mode == Mode::PidFile) {
        return Err(InstallError::Detached { pid });
    }
    let spec = Spec { path: request.path.clone(), ..spec(project, &request.program, request.scope) };
    let refused = |error| InstallError::Unit(project.name.clone(), error);
    let mut units = vec![(project.serve_unit(), spec.serve().map_err(refused)?)];
    if request.units == Units::ServeAndMonitor {
        units.push((project.monitor_unit(), spec.monitor().map_err(refused)?));
    }
    for (name, _) in &units {
        guard(&folder.join(name), &project.work_dir, request.clobber)?;
    }
    fs::create_dir_all(&folder).map_err(FileError::of("making", &folder))?;
    for (name, text) in &units {
        let path = folder.join(name);
        atomic::replace_with_mode(&path, text.as_bytes(), 0o644).map_err(FileError::of("writing", &path))?;
    }
    manager.reload()?;
    let started = request.scope == Scope::User;
    for (name, _) in &units {
        manager.act("enable", name)?;
    }
    let mut failed = None;
    for (name, _) in units.iter().filter(|_| started) {
        // A monitor is of use beside a Loop that gives up: both are tried.
        if let Err(error) = manager.act("start", name) {
            failed.get_or_insert(InstallError::NotStarted(name.clone(), error));
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let mut paths = units.iter().map(|(name, _)| folder.join(name).to_string_lossy().into_owned());
    Ok(Installed {
        unit_path: paths.next().unwrap_or_default(),
        monitor_unit_path: paths.next(),
        enabled: true,
        started,
    })
}

/// Checks that a unit is free, or ours.
///
/// # Errors
/// When it belongs to another folder.
pub fn guard(path: &Path, work_dir: &Path, clobber: Clobber) -> Result<(), InstallError> {
    let Some(text) = read(path).map_err(FileError::of("reading", path))? else { return Ok(()) };
    let owner = unit::work_dir_of(&text);
    if clobber == Clobber::Replace || owner.as_deref() == Some(work_dir) {
        return Ok(());
    }
    let owner = owner.map_or("a folder it does not name".to_owned(), |dir| dir.display().to_string());
    Err(InstallError::Taken { path: path.display().to_string(), owner })
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(bytes) => {
            let kept = bytes.get(..bytes.len().min(UNIT_MAX)).unwrap_or_default();
            Ok(Some(String::from_utf8_lossy(kept).into_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_unit_of_the_same_folder_may_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent-runner@x.service");
        let work_dir = Path::new("/srv/x");
        assert!(guard(&path, work_dir, Clobber::Refuse).is_ok());
        atomic::replace(&path, b"[Service]\nWorkingDirectory=/srv/x\n").unwrap();
        assert!(guard(&path, work_dir, Clobber::Refuse).is_ok());
        for other in [&b"[Service]\nWorkingDirectory=/home/me/x\n"[..], b"[Service]\n"] {
            atomic::replace(&path, other).unwrap();
            assert!(matches!(guard(&path, work_dir, Clobber::Refuse), Err(InstallError::Taken { .. })));
            assert!(guard(&path, work_dir, Clobber::Replace).is_ok());
        }
    }
}
