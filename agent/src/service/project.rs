//! One supervised project, as the service verbs address it.

use std::path::PathBuf;

use thiserror::Error;

use super::Account;
use crate::config::types::Config;
use crate::store::layout::Layout;

/// One supervised project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The base name of the folder that holds the configuration.
    pub name: String,
    /// The configuration, absolute.
    pub config: PathBuf,
    /// The work tree, absolute.
    pub work_dir: PathBuf,
    /// The log dir.
    pub layout: Layout,
    /// Seconds a stop may take before systemd kills.
    pub stop_timeout_s: u64,
    /// The account it runs as.
    pub account: Account,
}

/// A project's name that cannot be part of a unit's name.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "the project's folder is called `{0}`, which cannot be part of a unit name (letters, digits, `.`, `_`, `-`)"
)]
pub struct NameError(pub String);

impl Project {
    /// Returns the project of a loaded configuration.
    pub fn of(config: &Config, account: Account) -> Project {
        Project {
            name: config.project().to_owned(),
            config: config.path.clone(),
            work_dir: config.runtime.work_dir.clone(),
            layout: Layout::new(config.runtime.log_dir.clone()),
            stop_timeout_s: config.stop_timeout_s(),
            account,
        }
    }

    /// Checks that the name can be part of a unit's name.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check_name(name: &str) -> Result<(), NameError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || matches!(name, "." | "..") || name.len() > 200 || !name.chars().all(fits) {
            return Err(NameError(name.to_owned()));
        }
        Ok(())
    }

    /// The name of the unit that runs the Loop.
    pub fn serve_unit(&self) -> String {
        serve_unit(&self.name)
    }

    /// The name of the unit that runs the Witness.
    pub fn monitor_unit(&self) -> String {
        monitor_unit(&self.name)
    }
}

/// Returns the name of the unit that runs a project's Loop.
pub(super) fn serve_unit(project: &str) -> String {
    format!("agent-runner@{project}.service")
}

/// Returns the name of the unit that runs a project's Witness.
pub(super) fn monitor_unit(project: &str) -> String {
    format!("agent-runner-monitor@{project}.service")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_fit_into_a_unit_name() {
        for good in ["research", "a.b_c-9", "A"] {
            assert!(Project::check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "two words", "a/b", "a%b", "ümlaut", "a\nb", "a@b"] {
            assert!(Project::check_name(bad).is_err(), "{bad}");
        }
    }
}
