//! `status.json`: the last finished round.

use std::io;

use serde::Serialize;
use serde_json::{Map, Value};

use super::atomic;
use super::layout::Layout;
pub use super::state::Read;
use super::state::read_object;

/// The last round that reached its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Its number, at least 1.
    pub round_num: i64,
    /// Always false: the file is written when a round is over.
    pub running: bool,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_completed_at: Option<String>,
    /// The agent's code; negative is a signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_exit_code: Option<i64>,
    /// The agent's wall time in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_duration_s: Option<f64>,
    /// Its phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_phase: Option<String>,
    /// The phase's index in the list, 0 without phases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase_index: Option<i64>,
}

/// Reads the status of a log dir. Only the round number decides whether the file is usable; other fields of a wrong
/// type count as absent, unknown ones are ignored.
pub fn read(layout: &Layout) -> Read<Status> {
    read_object(&layout.status()).and_then(|object| parse(&object))
}

/// Replaces the status of a log dir.
///
/// # Errors
/// As [`atomic::replace_json`].
pub fn write(layout: &Layout, status: &Status) -> io::Result<()> {
    atomic::replace_json(&layout.status(), status)
}

fn parse(object: &Map<String, Value>) -> Result<Status, String> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
    let int = |key: &str| object.get(key).and_then(Value::as_i64);
    let round_num = int("round_num").filter(|&number| number >= 1);
    Ok(Status {
        round_num: round_num.ok_or("round_num is not an integer of at least 1")?,
        running: object.get("running").and_then(Value::as_bool).unwrap_or(false),
        last_completed_at: text("last_completed_at"),
        last_exit_code: int("last_exit_code"),
        last_duration_s: object.get("last_duration_s").and_then(Value::as_f64),
        current_phase: text("current_phase"),
        phase_index: int("phase_index"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str) -> Read<Status> {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        atomic::replace(&layout.status(), content.as_bytes()).unwrap();
        read(&layout)
    }

    #[test]
    fn what_is_written_reads_back_without_null_keys() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        assert_eq!(read(&layout), Read::Missing);
        let status = Status {
            round_num: 12,
            running: false,
            last_completed_at: Some("2026-01-01T00:00:00.000Z".into()),
            last_exit_code: Some(-15),
            last_duration_s: Some(1.5),
            current_phase: None,
            phase_index: Some(0),
        };
        write(&layout, &status).unwrap();
        let text = std::fs::read_to_string(layout.status()).unwrap();
        assert!(text.starts_with("{\n  \"round_num\": 12,\n  \"running\": false,"), "{text}");
        assert!(!text.contains("current_phase"));
        assert_eq!(read(&layout), Read::Usable(status));
    }

    #[test]
    fn a_round_number_that_is_none_makes_the_file_unusable() {
        for content in
            ["{}", r#"{"round_num": true}"#, r#"{"round_num": 0}"#, r#"{"round_num": 1.5}"#, "[]", "{"]
        {
            assert!(matches!(check(content), Read::Unusable(_)), "{content}");
        }
        let odd = check(r#"{"round_num": 3, "last_exit_code": "x", "future": 1}"#).usable().unwrap();
        assert_eq!((odd.round_num, odd.last_exit_code), (3, None));
    }
}
