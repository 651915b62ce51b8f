//! What a detector says.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// A person should look today.
    Warning,
    /// Harm is being done.
    Critical,
}

impl Severity {
    /// Returns the word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// What the monitor may do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoAction {
    /// Nothing.
    None,
    /// Stop the service, when the configuration lists the detector.
    StopService,
}

impl AutoAction {
    /// Returns the word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            AutoAction::None => "none",
            AutoAction::StopService => "stop_service",
        }
    }
}

/// One alert, as `monitor --json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// How bad it is.
    pub severity: Severity,
    /// The detector's name.
    pub detector: String,
    /// What it saw, for a person.
    pub message: String,
    /// The numbers behind it.
    pub context: Map<String, Value>,
    /// When it fired, as an event's `ts`.
    pub ts: String,
    /// What the monitor may do.
    pub auto_action: AutoAction,
}

/// A detector that cannot judge, in the words of `detector_error`: whether it would fire nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blindness {
    /// The detector's name.
    pub detector: String,
    /// Why it cannot.
    pub error: String,
}

impl fmt::Display for Blindness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot judge: {}", self.detector, self.error)
    }
}
