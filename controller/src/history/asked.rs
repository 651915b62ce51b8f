//! What people ask for, as lines of the log: who, when, of what. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::store::Entry;
use crate::fleetview::alert::{Ack, Key};
use crate::fleetview::bounded;
use crate::fleetview::silence::Silence;
use crate::fleetview::state::StreamId;

/// Something a person asked of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: &'a str,
    /// The verb: `stop`, `start`, `resume`..
    pub what: &'a str,
    /// The run of this machine that it was part of; none where it was asked of a watch.
    pub run: Option<&'a str>,
    /// Why nothing came of it.
    pub error: Option<&'a str>,
}

impl Asked<'_> {
    /// Returns the line about one service.
    pub fn of(&self, stream: &StreamId) -> Entry {
        let mut body = Map::from_iter([("by".to_owned(), Value::from(self.by))]);
        body.extend(self.run.map(|run| ("run".to_owned(), run.into())));
        body.extend(self.error.map(|error| ("error".to_owned(), error.into())));
        line(self.at, ("asked", self.what), (&stream.host, &stream.project), &body.into())
    }
}

pub(super) fn silenced(id: i64, silence: &Silence) -> Entry {
    let body = json!({
        "by": silence.by,
        "id": id,
        "matchers": silence.matchers,
        "until": agent_runner::store::time::stamp(silence.until),
        "comment": silence.comment,
    });
    line(silence.from, ("silence", "silence"), ("", ""), &body)
}

pub(super) fn ended(id: i64, by: &str, at: Timestamp) -> Entry {
    line(at, ("silence", "unsilence"), ("", ""), &json!({"by": by, "id": id}))
}

/// The line about an alert that somebody has taken note of (`ack`), or taken that back (`unack`).
pub(super) fn noted(kind: &'static str, key: &Key, ack: &Ack) -> Entry {
    let of = |name: Option<&std::sync::Arc<str>>| name.map_or_else(String::new, ToString::to_string);
    let (host, project) = (of(key.subject.host()), of(key.subject.project()));
    let body = json!({"by": ack.by, "subject": key.subject.to_string(), "alert": key.id()});
    line(ack.at, (kind, &key.detector), (&host, &project), &body)
}

fn line(
    at: Timestamp,
    (kind, name): (&'static str, &str),
    (host, project): (&str, &str),
    body: &Value,
) -> Entry {
    let [host, project, name] = [host, project, name].map(str::to_owned);
    Entry::Log { at, host, project, kind, name, body: bounded::body(body) }
}
