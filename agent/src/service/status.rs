//! Whether a project's service runs, and how: the facts gathered, the answer of every service verb.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::Project;
use super::mode::{self, Facts, Mode, PidFile, Present};
use super::systemctl::{Manager, SystemctlError};
use crate::process::identity::Identity;
use crate::store::pid_file;

/// What every service verb answers; the order of the fields is contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// How it runs.
    pub mode: Mode,
    /// Whether it runs; a drain still does.
    pub active: bool,
    /// The Loop's process, with a pid file.
    pub pid: Option<i32>,
    /// Seconds since the Loop's process started.
    pub uptime_s: Option<i64>,
    /// The unit's file.
    pub unit_file: Option<String>,
    /// The throttle in force; only `peek` fills it in.
    pub rate_limit: Option<Value>,
    /// Whether a unit of the system, not of the account, is in charge.
    pub system_managed: bool,
}

/// A service's state, and whether whoever is in charge of its unit could be asked for it.
#[derive(Debug)]
pub struct Look {
    /// The state, as far as it is known.
    pub status: Status,
    /// The manager that does not tell what its unit does.
    pub unanswered: Option<Unanswered>,
}

/// A manager that could not be asked about its unit.
#[derive(Debug, Error)]
#[error("{} does not answer", manager.name())]
pub struct Unanswered {
    /// Which.
    pub manager: Manager,
    /// Why.
    #[source]
    pub error: SystemctlError,
}

/// Returns the state of a project's service.
pub fn status(project: &Project) -> Status {
    look(project).status
}

/// Returns the state of a project's service, and what stood in the way of knowing it.
pub fn look(project: &Project) -> Look {
    let (facts, unanswered) = facts(project);
    let mode = mode::mode(facts);
    let running = running(project);
    let unit_file = match (facts.user_unit, facts.system_unit) {
        (Present::Yes, _) => Some(project.account.user_units().join(project.serve_unit())),
        (Present::No, Present::Yes) => Some(project.account.system_units().join(project.serve_unit())),
        (Present::No, Present::No) => None,
    };
    let status = Status {
        mode,
        active: mode::active(mode, facts),
        pid: running.filter(|_| mode == Mode::PidFile).map(|identity| identity.pid),
        uptime_s: running.and_then(|identity| uptime_s(identity, Timestamp::now())),
        unit_file: unit_file.map(|path| path.to_string_lossy().into_owned()),
        rate_limit: None,
        system_managed: facts.user_unit == Present::No && facts.system_unit == Present::Yes,
    };
    Look { status, unanswered }
}

/// Returns the running Loop, as serve.pid names it.
pub fn running(project: &Project) -> Option<Identity> {
    recorded(project).filter(Identity::is_running)
}

/// Returns whom serve.pid names. The account writes it: for root, a process of somebody else is no Loop of the account.
fn recorded(project: &Project) -> Option<Identity> {
    let whose = project.account.signals();
    let ours = |identity: &Identity| identity.is_gone() || whose.owns(identity.pid);
    pid_file::read(&project.layout).usable().filter(ours)
}

/// Returns the manager of a mode; `None` where there is none.
pub(super) fn manager(project: &Project, mode: Mode) -> Option<Manager> {
    match mode {
        Mode::SystemdUser => Some(Manager::user(&project.account)),
        Mode::SystemdSystem => Some(Manager::System),
        Mode::PidFile | Mode::None => None,
    }
}

fn facts(project: &Project) -> (Facts, Option<Unanswered>) {
    let unit = project.serve_unit();
    let user_unit = present(&project.account.user_units().join(&unit));
    let system_unit = present(&project.account.system_units().join(&unit));
    let manager = match (user_unit, system_unit) {
        (Present::Yes, _) => Some(Manager::user(&project.account)),
        (Present::No, Present::Yes) => Some(Manager::System),
        (Present::No, Present::No) => None,
    };
    let (unit_state, unanswered) = match manager.map(|manager| (manager.show(&unit), manager)) {
        None => (None, None),
        Some((Ok(show), _)) => (show.state, None),
        Some((Err(error), manager)) => (None, Some(Unanswered { manager, error })),
    };
    let pid_file = match recorded(project) {
        None => PidFile::Nobody,
        Some(identity) if identity.is_running() => PidFile::Alive,
        Some(_) => PidFile::Dead,
    };
    (Facts { user_unit, system_unit, unit_state, pid_file }, unanswered)
}

fn present(path: &Path) -> Present {
    if path.exists() { Present::Yes } else { Present::No }
}

fn uptime_s(identity: Identity, now: Timestamp) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since the epoch fit for 292 billion years")]
    let started = identity.create_time? as i64;
    Some((now.as_second() - started).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_keeps_the_contracts_order_and_reads_back() {
        let status = Status {
            mode: Mode::SystemdUser,
            active: true,
            pid: None,
            uptime_s: Some(7),
            unit_file: Some("/x.service".into()),
            rate_limit: None,
            system_managed: false,
        };
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(
            text,
            r#"{"mode":"systemd_user","active":true,"pid":null,"uptime_s":7,"unit_file":"/x.service","rate_limit":null,"system_managed":false}"#
        );
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
    }
}
