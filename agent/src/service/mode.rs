//! Which of the ways to run a service a project uses. Pure: facts in, mode out.

use serde::{Deserialize, Serialize};

/// How a project runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A unit of the account's systemd.
    SystemdUser,
    /// A unit of the system's systemd.
    SystemdSystem,
    /// A process with a pid file.
    PidFile,
    /// Not at all.
    None,
}

impl Mode {
    /// Returns the word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::SystemdUser => "systemd_user",
            Mode::SystemdSystem => "systemd_system",
            Mode::PidFile => "pid_file",
            Mode::None => "none",
        }
    }
}

/// What the mode follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether a user unit of this name exists.
    pub user_unit: Present,
    /// Whether a system unit of this name exists.
    pub system_unit: Present,
    /// What systemd says about the one that counts (the user's first); `None` when it cannot be asked.
    pub unit_state: Option<UnitState>,
    /// What serve.pid says.
    pub pid_file: PidFile,
}

/// Whether a file exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// What serve.pid says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidFile {
    /// Nothing, or nothing usable.
    Nobody,
    /// A process that is gone, or is another one by now.
    Dead,
    /// The running Loop.
    Alive,
}

/// `ActiveState` of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitState {
    /// It runs.
    Active,
    /// It starts, or waits to be started again.
    Activating,
    /// It reloads.
    Reloading,
    /// It drains.
    Deactivating,
    /// It ended well or never ran.
    Inactive,
    /// It ended badly.
    Failed,
}

impl UnitState {
    /// Reads `ActiveState`; `None` for a word that is not known.
    pub fn read(word: &str) -> Option<UnitState> {
        match word.trim() {
            "active" => Some(UnitState::Active),
            "activating" => Some(UnitState::Activating),
            "reloading" | "refreshing" => Some(UnitState::Reloading),
            "deactivating" => Some(UnitState::Deactivating),
            "inactive" => Some(UnitState::Inactive),
            "failed" => Some(UnitState::Failed),
            _ => None,
        }
    }

    /// Returns whether a process of it runs or is about to.
    pub fn is_live(self) -> bool {
        match self {
            UnitState::Active | UnitState::Activating | UnitState::Reloading | UnitState::Deactivating => {
                true
            }
            UnitState::Inactive | UnitState::Failed => false,
        }
    }
}

/// Returns how a project runs.
pub fn mode(facts: Facts) -> Mode {
    let unit = match (facts.user_unit, facts.system_unit) {
        (Present::Yes, _) => Mode::SystemdUser,
        (Present::No, Present::Yes) => Mode::SystemdSystem,
        (Present::No, Present::No) => {
            return if facts.pid_file == PidFile::Nobody { Mode::None } else { Mode::PidFile };
        }
    };
    let unit_runs = facts.unit_state.is_some_and(UnitState::is_live);
    if !unit_runs && facts.pid_file == PidFile::Alive { Mode::PidFile } else { unit }
}

/// Returns whether the service runs; a drain is still running.
pub(super) fn active(mode: Mode, facts: Facts) -> bool {
    let alive = facts.pid_file == PidFile::Alive;
    match mode {
        Mode::SystemdUser | Mode::SystemdSystem => facts.unit_state.map_or(alive, UnitState::is_live),
        Mode::PidFile => alive,
        Mode::None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_follows_the_unit_and_then_the_pid_file() {
        use Present::{No, Yes};
        let check = |user_unit, system_unit, unit_state, pid_file, expected: (Mode, bool)| {
            let facts = Facts { user_unit, system_unit, unit_state, pid_file };
            let found = mode(facts);
            assert_eq!((found, active(found, facts)), expected, "{facts:?}");
        };
        let live = Some(UnitState::Active);
        let down = Some(UnitState::Inactive);
        check(Yes, No, live, PidFile::Alive, (Mode::SystemdUser, true));
        check(Yes, No, Some(UnitState::Reloading), PidFile::Nobody, (Mode::SystemdUser, true));
        check(Yes, No, Some(UnitState::Deactivating), PidFile::Alive, (Mode::SystemdUser, true));
        check(Yes, No, down, PidFile::Alive, (Mode::PidFile, true));
        check(Yes, No, down, PidFile::Dead, (Mode::SystemdUser, false));
        check(Yes, No, Some(UnitState::Failed), PidFile::Nobody, (Mode::SystemdUser, false));
        check(Yes, No, None, PidFile::Dead, (Mode::SystemdUser, false));
        check(No, No, None, PidFile::Alive, (Mode::PidFile, true));
        check(No, No, None, PidFile::Dead, (Mode::PidFile, false));
        check(No, No, None, PidFile::Nobody, (Mode::None, false));
        check(No, Yes, live, PidFile::Alive, (Mode::SystemdSystem, true));
        check(No, Yes, down, PidFile::Nobody, (Mode::SystemdSystem, false));
        check(Yes, Yes, live, PidFile::Alive, (Mode::SystemdUser, true));
    }
}
