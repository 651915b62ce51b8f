//! The account of a login: what was offered and what came of it.

use std::fmt;

/// One thing we offered, or would have, and what came of it.
#[derive(Debug, Clone)]
pub struct Offer {
    /// What kind of proof.
    pub kind: OfferKind,
    /// Which one: a path, a comment, a fingerprint.
    pub name: String,
    /// What came of it.
    pub result: OfferResult,
}

/// Kinds of proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferKind {
    /// A key file.
    KeyFile,
    /// A key held by the agent.
    AgentKey,
    /// A certificate over either.
    Certificate,
    /// The agent as such.
    Agent,
    /// Questions and answers.
    KeyboardInteractive,
    /// A password.
    Password,
}

/// What came of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferResult {
    /// The host refused it.
    Refused,
    /// The host accepted it and wants more.
    Partial,
    /// It could not be offered.
    Unusable {
        /// Why.
        reason: String,
        /// The command that fixes it.
        remedy: Option<String>,
    },
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            OfferKind::KeyFile => "key",
            OfferKind::AgentKey => "agent key",
            OfferKind::Certificate => "certificate",
            OfferKind::Agent => "agent",
            OfferKind::KeyboardInteractive => "keyboard-interactive",
            OfferKind::Password => "given",
        };
        let name = &self.name;
        match &self.result {
            OfferResult::Refused => write!(f, "{kind} {name} refused"),
            OfferResult::Partial => write!(f, "{kind} {name} accepted, but more is wanted"),
            OfferResult::Unusable { reason, .. } => write!(f, "{kind} {name}: {reason}"),
        }
    }
}
