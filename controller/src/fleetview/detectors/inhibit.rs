//! Which alert explains which: while the one fires, the others are shown and not sent.

use super::{account, hosts};
use crate::fleetview::alert::{AlertState, Subject};

/// One explanation.
#[derive(Debug, Clone, Copy)]
pub struct Inhibition {
    /// The detector that explains.
    pub source: &'static str,
    /// The detectors it explains; none means every other one of its host.
    targets: &'static [&'static str],
}

/// All of them.
pub const INHIBITIONS: &[Inhibition] = &[
    Inhibition { source: hosts::UNREACHABLE, targets: &[] },
    Inhibition { source: account::AUTH, targets: &[account::HOST_AUTH] },
    Inhibition { source: account::RATE_LIMIT, targets: &["rate_limit_active"] },
];

impl Inhibition {
    /// Returns whether alerts of this detector are explained.
    pub fn silences(&self, detector: &str) -> bool {
        detector != self.source && (self.targets.is_empty() || self.targets.contains(&detector))
    }

    /// Returns the subject whose alert would explain this one.
    pub fn subject(&self, alert: &AlertState) -> Option<Subject> {
        let host = alert.key.subject.host()?;
        if self.targets.is_empty() {
            Some(Subject::Host(host.clone()))
        } else {
            alert.account.clone().map(Subject::Account)
        }
    }
}
