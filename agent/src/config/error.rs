//! Why a configuration cannot be used.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::source::{Problem, line_number, render};
use crate::error::{Error, Exit};

/// More problems than this are counted, not shown.
const SHOWN: usize = 20;

/// Why a configuration cannot be used; the exit code is always 78.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error("{}: no such file", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its path cannot be used.
    #[error("{}: {reason}", path.display())]
    Path {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Its text is wrong.
    #[error("{0}")]
    Invalid(Invalid),
}

/// Everything wrong in one file, with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The file.
    pub path: PathBuf,
    /// What was read.
    pub text: String,
    /// At least one, in the order of the file.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&render(&self.path, &self.text, problem))?;
        }
        match self.problems.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, "\nand {more} more"),
            Some(_) | None => Ok(()),
        }
    }
}

impl ConfigError {
    /// Returns whether there is no such file.
    pub fn missing(&self) -> bool {
        matches!(self, ConfigError::Missing { .. })
    }

    /// Says it without a line of the file: that may be secret.
    pub fn without_text(&self) -> String {
        match self {
            ConfigError::Invalid(Invalid { path, text, problems }) => {
                let place = |problem: &Problem| {
                    format!(
                        "{}:{}: {}",
                        path.display(),
                        line_number(text, problem.span.start),
                        problem.message
                    )
                };
                problems.iter().take(SHOWN).map(place).collect::<Vec<_>>().join("\n")
            }
            ConfigError::Missing { .. } | ConfigError::Unreadable { .. } | ConfigError::Path { .. } => {
                self.to_string()
            }
        }
    }

    /// Returns what the operator can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            ConfigError::Missing { .. } => {
                Some("`agent-runner init` writes one; `--config PATH` names another".into())
            }
            ConfigError::Invalid(invalid) => {
                let old = |problem: &Problem| {
                    let said = |text: &str| text.contains("unknown key") || text.contains("schema_version");
                    said(&problem.message) || problem.message.contains("migrate")
                };
                invalid.problems.iter().any(old).then(|| {
                    "a file of an older release is brought up to date by `agent-runner migrate`".into()
                })
            }
            ConfigError::Unreadable { .. } | ConfigError::Path { .. } => None,
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Error {
        let hint = error.hint();
        let shown = match error {
            ConfigError::Unreadable { path, source } => {
                Error::new(Exit::Config, format!("{}: cannot be read", path.display())).caused_by(source)
            }
            ConfigError::Missing { .. } | ConfigError::Path { .. } | ConfigError::Invalid(_) => {
                Error::new(Exit::Config, error.to_string())
            }
        };
        match hint {
            Some(hint) => shown.hinted(hint),
            None => shown,
        }
    }
}
