//! The stream a controller follows: `agent-runner monitor --mode stream`, one JSON object per line.
//!
//! It reads only: detectors are evaluated, nothing is written and nothing is stopped. At least once: after a
//! reconnect with `--cursor` the events behind the cursor come again; the cursor identifies each. Whoever goes on behind
//! a cursor compares its mark with the hello's: where they differ the file is another one, and is asked for from 0.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alert::{Alert, Blindness};
use crate::store::follow::Cursor;

/// Seconds between two lines at most.
pub const HEARTBEAT_S: u64 = 10;

/// How the line of an event begins, as [`StreamLine`] says it.
const EVENT: &[u8] = br#"{"type":"event","cursor":"#;
/// What stands between the place and the event.
const TEXT: &[u8] = br#","event":"#;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StreamLine {
    /// The first line.
    Hello(Hello),
    /// One event of the log, as it was written, and the place behind it.
    Event {
        /// The place behind it.
        cursor: Cursor,
        /// The whole line as an object, `ts` and `event` included.
        event: Value,
    },
    /// An alert begins, or was already firing when the stream began.
    Alert {
        /// What distinguishes it from other alerts of its detector.
        identity: String,
        /// The alert.
        alert: Alert,
    },
    /// An alert is over.
    Resolved {
        /// The detector.
        detector: String,
        /// As in [`StreamLine::Alert`].
        identity: String,
        /// Seconds it fired.
        firing_for_s: i64,
    },
    /// The project's state, at the start and whenever it changed.
    State(State),
    /// Nothing happened; the host lives.
    Heartbeat {
        /// The host's clock, as an event's `ts`.
        at: String,
    },
}

/// Returns the line of an event, with its text as it stands in the log; `text` must be an object.
///
/// # Errors
/// What `serde_json` says of the cursor.
pub fn event_line(cursor: &Cursor, text: &[u8]) -> serde_json::Result<Vec<u8>> {
    let mut line = EVENT.to_vec();
    serde_json::to_writer(&mut line, cursor)?;
    line.extend_from_slice(TEXT);
    line.extend_from_slice(text.trim_ascii());
    line.push(b'}');
    Ok(line)
}

/// Returns what the line of an event carries, its text untouched; `None` for any other line.
pub fn event_of(line: &[u8]) -> Option<(Cursor, &[u8])> {
    let rest = line.strip_prefix(EVENT)?;
    let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Cursor>();
    let cursor = values.next()?.ok()?;
    let text = rest.get(values.byte_offset()..)?.strip_prefix(TEXT)?.strip_suffix(b"}")?;
    Some((cursor, text))
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::version::PROTOCOL`].
    pub protocol: u32,
    /// The agent's release.
    pub version: String,
    /// The project's name.
    pub project: String,
    /// The kernel's boot id; a change means a reboot.
    pub boot_id: String,
    /// The host's clock, as an event's `ts`.
    pub at: String,
    /// Whether a monitor on the host does the auto-stop itself.
    pub monitor_active: bool,
    /// Detectors that may stop the service here, as the project's configuration says.
    pub auto_stop_on: Vec<String>,
    /// The place behind which this stream's events begin: who loses the connection before the first one goes on here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
}

impl Hello {
    /// Returns where to begin instead of behind `known`, when another file has taken the place of the one it is in.
    pub fn begins_anew(&self, known: &Cursor) -> Option<Cursor> {
        let there = self.cursor.as_ref()?;
        there.is_in_another_file_than(known).then(|| Cursor::at(known.file.as_str(), 0))
    }
}

/// The project's state in a few fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Whether the service runs.
    pub active: bool,
    /// The newest round's number.
    pub round_num: Option<i64>,
    /// Its phase.
    pub phase: Option<String>,
    /// Whether it is in progress.
    pub running: bool,
    /// When it started or, when it is over, ended; as an event's `ts`.
    pub since: Option<String>,
    /// How the last finished round ended.
    pub last_exit_code: Option<i64>,
    /// How long it took, in seconds.
    pub last_duration_s: Option<f64>,
    /// Percent of the log dir's disk in use.
    pub disk_used_pct: Option<f64>,
    /// Until when the provider throttles, as an event's `ts`.
    pub throttled_until: Option<String>,
    /// Memory the host has left, as sampled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_available_mb: Option<i64>,
    /// Whether a monitor on the host does the auto-stop itself, as of now: it may have come or gone since the hello.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor_active: Option<bool>,
    /// The digest of the configuration file as it is on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<String>,
    /// The detectors that cannot judge now; without an alert of theirs nobody knows whether all is well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cannot_judge: Vec<Blindness>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_goes_over_the_line_as_it_was_written() {
        let text = br#"{"ts":   "2026-03-01T00:00:05.000Z", "event": "a_b", "n": 1.50, "},\"event\":": {"b": 1, "a": 2}}"#;
        let cursor = Cursor { mark: Some(9), ..Cursor::at("events-2026-03.jsonl", 7) };
        let line = event_line(&cursor, &[b" ".as_slice(), text, b"\r"].concat()).unwrap();
        assert_eq!(event_of(&line), Some((cursor.clone(), text.as_slice())));
        let event = serde_json::from_slice(text).unwrap();
        assert_eq!(serde_json::from_slice::<StreamLine>(&line).unwrap(), StreamLine::Event { cursor, event });
        let StreamLine::Event { cursor, event } = serde_json::from_slice(&line).unwrap() else {
            panic!("no event")
        };
        let of_an_older_program = serde_json::to_vec(&StreamLine::Event { cursor, event }).unwrap();
        assert!(event_of(&of_an_older_program).is_some());
        for other in
            [&br#"{"type":"heartbeat","at":"x"}"#[..], br#"{"type":"event","cursor":7}"#, b"", b"rubbish"]
        {
            assert_eq!(event_of(other), None);
        }
    }
}
