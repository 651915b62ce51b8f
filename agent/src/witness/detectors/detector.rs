//! What a detector is, and what it returns.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::store::time;
use crate::witness::alert::{Alert, AutoAction, Severity};
use crate::witness::snapshot::Snapshot;
use crate::witness::thresholds::Thresholds;

/// One detector, as the table lists it.
#[derive(Debug)]
pub struct Detector {
    /// Its name in alerts, events and the configuration.
    pub name: &'static str,
    /// How bad its alerts are; one that can be both says so here with the worse one.
    pub severity: Severity,
    /// Whether its alert may stop the service.
    pub action: AutoAction,
    /// Context fields that tell two alerts of it apart.
    pub identity: &'static [&'static str],
    /// When it fires, for a person.
    pub fires: &'static str,
    /// What it reads.
    pub reads: &'static str,
    /// Its thresholds under a configuration, for a person.
    pub thresholds: fn(&Thresholds) -> String,
    /// The decision.
    pub detect: fn(&Snapshot, &Thresholds, Timestamp) -> Result<Vec<Found>, Blind>,
}

impl Detector {
    /// Returns the alert of a finding.
    pub fn alert(&self, found: Found, now: Timestamp) -> Alert {
        Alert {
            severity: found.severity.unwrap_or(self.severity),
            detector: self.name.to_owned(),
            message: found.message,
            context: found.context,
            ts: time::stamp(now),
            auto_action: found.action.unwrap_or(self.action),
        }
    }

    /// Returns what distinguishes an alert from others of this detector: the name, then the identity fields.
    pub fn identity_of(&self, alert: &Alert) -> String {
        let mut identity = self.name.to_owned();
        for field in self.identity {
            identity.push(':');
            match alert.context.get(*field) {
                Some(Value::String(text)) => identity.push_str(text),
                Some(value) => identity.push_str(&value.to_string()),
                None => {}
            }
        }
        identity
    }
}

/// What a detector found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    message: String,
    context: Map<String, Value>,
    severity: Option<Severity>,
    action: Option<AutoAction>,
}

impl Found {
    /// Returns a finding with the detector's own severity and action.
    pub fn new<const N: usize>(message: String, context: [(&str, Value); N]) -> Found {
        let context = context.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Found { message, context, severity: None, action: None }
    }

    /// Replaces the severity.
    pub fn with_severity(self, severity: Severity) -> Found {
        Found { severity: Some(severity), ..self }
    }

    /// Replaces the action.
    pub fn with_action(self, action: AutoAction) -> Found {
        Found { action: Some(action), ..self }
    }

    /// Replaces the context.
    pub fn with_context(self, context: Map<String, Value>) -> Found {
        Found { context, ..self }
    }
}

/// Why a detector cannot judge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Blind(pub String);
