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

/// How we got in.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// What the host accepted at last; `None` where it asked for nothing.
    pub by: Option<(OfferKind, String)>,
    /// The fingerprint of the key that was accepted, or of the one in the certificate: `SHA256:..`.
    pub key: Option<String>,
    /// What did not do, in order.
    pub before: Vec<Offer>,
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            Some((kind, name)) => write!(f, "{} {name}", kind.as_str())?,
            None => f.write_str("nothing: the host asked for none")?,
        }
        for (number, offer) in self.before.iter().enumerate() {
            write!(f, "{} {offer}", if number == 0 { "; before it:" } else { "," })?;
        }
        Ok(())
    }
}

impl OfferKind {
    /// Returns the word people see.
    pub fn as_str(self) -> &'static str {
        match self {
            OfferKind::KeyFile => "key",
            OfferKind::AgentKey => "agent key",
            OfferKind::Certificate => "certificate",
            OfferKind::Agent => "agent",
            OfferKind::KeyboardInteractive => "keyboard-interactive",
            OfferKind::Password => "given",
        }
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_str();
        let name = &self.name;
        match &self.result {
            OfferResult::Refused => write!(f, "{kind} {name} refused"),
            OfferResult::Partial => write!(f, "{kind} {name} accepted, but more is wanted"),
            OfferResult::Unusable { reason, .. } => write!(f, "{kind} {name}: {reason}"),
        }
    }
}
