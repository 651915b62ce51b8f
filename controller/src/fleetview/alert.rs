//! An alert as the fleet knows it: whose it is, what it says, how far its life is. Values only; `life` changes them.

use std::fmt;
use std::sync::Arc;

use agent_runner::witness::alert::Severity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::state::StreamId;

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A project on a host.
    Stream(StreamId),
    /// A host, whatever runs on it.
    Host(Arc<str>),
    /// A login that hosts share: one incident, however many hosts it hits.
    Account(Arc<str>),
    /// The fleet as a whole.
    Fleet,
}

impl Subject {
    /// Returns the host, where there is exactly one.
    pub fn host(&self) -> Option<&Arc<str>> {
        match self {
            Subject::Stream(stream) => Some(&stream.host),
            Subject::Host(host) => Some(host),
            Subject::Account(_) | Subject::Fleet => None,
        }
    }

    /// Returns the project, where there is exactly one.
    pub fn project(&self) -> Option<&Arc<str>> {
        match self {
            Subject::Stream(stream) => Some(&stream.project),
            Subject::Host(_) | Subject::Account(_) | Subject::Fleet => None,
        }
    }

    /// Returns the account the alert itself is about.
    pub fn account(&self) -> Option<&Arc<str>> {
        match self {
            Subject::Account(account) => Some(account),
            Subject::Stream(_) | Subject::Host(_) | Subject::Fleet => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Stream(stream) => stream.fmt(f),
            Subject::Host(host) => f.write_str(host),
            Subject::Account(account) => write!(f, "account {account}"),
            Subject::Fleet => f.write_str("the fleet"),
        }
    }
}

/// An alert's identity within its fleet: subject and detector. At most one alert of a key is open at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key {
    /// What it is about.
    pub subject: Subject,
    /// Which detector saw it: one of the agent's, or of [`super::detectors`].
    pub detector: Arc<str>,
}

/// Between a key's parts as text; hosts, projects and detectors cannot contain it.
const SEPARATOR: char = '\u{1f}';

impl Key {
    /// Returns a key.
    pub fn new(subject: Subject, detector: impl Into<Arc<str>>) -> Key {
        Key { subject, detector: detector.into() }
    }

    /// Returns the key as one line that [`Key::parse`] reads: how it is stored.
    pub fn stored(&self) -> String {
        let (kind, name) = match &self.subject {
            Subject::Stream(stream) => ("stream", format!("{}{SEPARATOR}{}", stream.host, stream.project)),
            Subject::Host(host) => ("host", host.to_string()),
            Subject::Account(account) => ("account", account.to_string()),
            Subject::Fleet => ("fleet", String::new()),
        };
        format!("{kind}{SEPARATOR}{}{SEPARATOR}{name}", self.detector)
    }

    /// Reads what [`Key::stored`] wrote.
    pub fn parse(text: &str) -> Option<Key> {
        let mut parts = text.split(SEPARATOR);
        let (kind, detector, name) = (parts.next()?, parts.next()?, parts.next()?);
        let subject = match kind {
            "stream" => Subject::Stream(StreamId { host: name.into(), project: parts.next()?.into() }),
            "host" => Subject::Host(name.into()),
            "account" => Subject::Account(name.into()),
            "fleet" => Subject::Fleet,
            _ => return None,
        };
        Some(Key::new(subject, detector))
    }

    /// Returns a short name for people, links and command lines: twelve hexadecimal digits.
    pub fn id(&self) -> String {
        use sha2::{Digest, Sha256};
        data_encoding::HEXLOWER.encode(Sha256::digest(self.stored()).get(..6).unwrap_or_default())
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        key.stored()
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Key, &'static str> {
        Key::parse(&text).ok_or("not the key of an alert")
    }
}

/// How far an alert's life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Seen, for less time than its detector has to hold.
    Pending,
    /// Holds.
    Firing,
    /// Over.
    Resolved,
}

impl Phase {
    /// Returns the word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Pending => "pending",
            Phase::Firing => "firing",
            Phase::Resolved => "resolved",
        }
    }
}

/// Somebody has taken note of an alert: it is not repeated any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Why an alert that fires is not sent anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Muted {
    /// A silence matches it: the silence's number.
    Silenced(i64),
    /// Another alert explains it: that one's detector.
    Inhibited(String),
}

/// One alert, from its first sight to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertState {
    /// Its identity.
    pub key: Key,
    /// The account of the host it is about, or the account itself.
    pub account: Option<Arc<str>>,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen, in its newest wording.
    pub message: String,
    /// The numbers behind it.
    pub context: Map<String, Value>,
    /// How far it is.
    pub phase: Phase,
    /// When it was first seen.
    pub since: Timestamp,
    /// When it began to fire.
    pub fired_at: Option<Timestamp>,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
    /// Since when it is not seen any more, while it is held because it flaps.
    pub quiet_since: Option<Timestamp>,
    /// Who has taken note.
    pub acked: Option<Ack>,
    /// Why it is not sent.
    pub muted: Option<Muted>,
    /// When it was last given to the sinks.
    pub sent_at: Option<Timestamp>,
    /// How often it was given to the sinks as firing.
    pub sent: u32,
}

impl AlertState {
    /// Returns the value of a label, as silences match them and sinks send them.
    pub fn label(&self, name: &str) -> Option<&str> {
        match name {
            "host" => self.key.subject.host().map(|host| &**host),
            "project" => self.key.subject.project().map(|project| &**project),
            "account" => self.account.as_deref(),
            "detector" => Some(&self.key.detector),
            "severity" => Some(self.severity.as_str()),
            _ => None,
        }
    }

    /// Returns the word for where the alert stands: an acknowledged one is still open.
    pub fn status(&self) -> &'static str {
        match (self.phase, &self.muted, &self.acked) {
            (Phase::Firing, Some(Muted::Silenced(_)), _) => "silenced",
            (Phase::Firing, Some(Muted::Inhibited(_)), _) => "inhibited",
            (Phase::Firing, None, Some(_)) => "acknowledged",
            (Phase::Pending | Phase::Firing | Phase::Resolved, _, _) => self.phase.as_str(),
        }
    }

    /// Returns the seconds it has fired until `now`, or until its end.
    pub fn firing_for_s(&self, now: Timestamp) -> i64 {
        let end = self.resolved_at.unwrap_or(now);
        (end.as_second() - self.fired_at.unwrap_or(self.since).as_second()).max(0)
    }

    /// Returns whether it is about more than one host: an account or the fleet.
    pub fn is_incident(&self) -> bool {
        matches!(self.key.subject, Subject::Account(_) | Subject::Fleet)
    }
}

/// The labels of an alert, besides the fleet's name.
pub const LABELS: [&str; 5] = ["host", "project", "account", "detector", "severity"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_key_reads_back_as_itself() {
        let stream = StreamId { host: "pi[1]".into(), project: "research".into() };
        for subject in [
            Subject::Stream(stream),
            Subject::Host("10.0.0.7:22".into()),
            Subject::Account("team a".into()),
            Subject::Fleet,
        ] {
            let key = Key::new(subject, "hung");
            assert_eq!(Key::parse(&key.stored()), Some(key.clone()));
            assert_eq!(key.id().len(), 12);
        }
        assert_eq!(Key::parse("moon\u{1f}x\u{1f}y"), None);
    }
}
