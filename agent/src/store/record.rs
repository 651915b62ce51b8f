//! One line of the event log, as a reader sees it: any kind, any fields, order kept.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::time;

/// The longest line a reader looks at, in bytes; a longer one is skipped like any other damaged line.
pub const LINE_MAX: usize = 1 << 20;

/// A parsed event line. Unknown kinds and fields are kept, not judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The `ts` field as written, empty when absent.
    pub ts: String,
    /// The `event` field, empty when absent.
    pub kind: String,
    /// Every other field, in the order of the line.
    pub fields: Vec<(String, Value)>,
}

impl Record {
    /// Reads one line; `None` for a blank line, for what is not JSON, and for JSON that is no object. Bad UTF-8
    /// inside strings is replaced.
    pub fn parse(line: &[u8]) -> Option<Record> {
        let line = line.trim_ascii();
        if line.first() != Some(&b'{') || line.len() > LINE_MAX {
            return None;
        }
        let Ordered(pairs) = match std::str::from_utf8(line) {
            Ok(text) => serde_json::from_str(text).ok()?,
            Err(_) => serde_json::from_str(&String::from_utf8_lossy(line)).ok()?,
        };
        let mut record =
            Record { ts: String::new(), kind: String::new(), fields: Vec::with_capacity(pairs.len()) };
        for (key, value) in pairs {
            match (key.as_str(), value) {
                ("ts", Value::String(ts)) => record.ts = ts,
                ("event", Value::String(kind)) => record.kind = kind,
                (_, value) => record.fields.push((key, value)),
            }
        }
        Some(record)
    }

    /// Returns a field's value.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.iter().find(|(key, _)| key == field).map(|(_, value)| value)
    }

    /// Returns a field that is a string.
    pub fn str(&self, field: &str) -> Option<&str> {
        self.get(field)?.as_str()
    }

    /// Returns a field that is an integer (never a bool or a float).
    pub fn int(&self, field: &str) -> Option<i64> {
        self.get(field)?.as_i64()
    }

    /// Returns a field that is a number.
    pub fn float(&self, field: &str) -> Option<f64> {
        self.get(field)?.as_f64()
    }

    /// Returns a field that is a bool.
    pub fn bool(&self, field: &str) -> Option<bool> {
        self.get(field)?.as_bool()
    }

    /// Returns the round it speaks of.
    pub fn round_num(&self) -> Option<i64> {
        self.int("round_num")
    }

    /// Returns when it was written.
    pub fn time(&self) -> Option<Timestamp> {
        time::parse(&self.ts)
    }
}

/// Returns `ts` and `event` of a line without parsing it, when it is spaced the way the writers space it; `None` says
/// nothing about the line but that it must be parsed.
pub fn glance(line: &[u8]) -> Option<(&str, &str)> {
    let rest = line.strip_prefix(b"{\"ts\": \"")?;
    let (ts, rest) = rest.split_at_checked(24)?;
    let rest = rest.strip_prefix(b"\", \"event\": \"")?;
    let (kind, _) = rest.split_at_checked(rest.iter().position(|&byte| byte == b'"')?)?;
    if ts.contains(&b'"') || kind.contains(&b'\\') || line.last() != Some(&b'}') {
        return None;
    }
    Some((std::str::from_utf8(ts).ok()?, std::str::from_utf8(kind).ok()?))
}

/// A JSON object with its keys in the order of the text.
struct Ordered(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ordered, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Ordered;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Ordered(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_without_end_is_neither_a_record_nor_a_line_of_a_stream() {
        use crate::witness::stream::StreamLine;
        let nested = |depth: usize| {
            let event = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let record =
                format!("{{\"ts\": \"2026-01-01T00:00:00.000Z\", \"event\": \"a_b\", \"x\": {event}}}");
            let cursor = "{\"file\": \"f\", \"offset\": 1}";
            let line = format!("{{\"type\": \"event\", \"cursor\": {cursor}, \"event\": {record}}}");
            (Record::parse(record.as_bytes()).is_some(), serde_json::from_str::<StreamLine>(&line).is_ok())
        };
        assert_eq!(nested(50), (true, true));
        assert_eq!(nested(100_000), (false, false));
    }

    #[test]
    fn a_glance_agrees_with_the_parser_or_stays_silent() {
        let whole = br#"{"ts": "2026-01-01T00:00:00.000Z", "event": "x_y", "b": 1}"#;
        assert_eq!(glance(whole), Some(("2026-01-01T00:00:00.000Z", "x_y")));
        for other in [
            &br#"{"ts":"2026-01-01T00:00:00.000Z","event":"x_y"}"#[..],
            br#"{"event": "x_y", "ts": "2026-01-01T00:00:00.000Z"}"#,
            br#"{"ts": "2026-01-01T00:00:00Z", "event": "x_y"}"#,
            br#"{"ts": "2026-01-01T00:00:00.000Z", "event": "x_y", "b"#,
            br#"{"ts": "2026-01-01T00:00:00.000Z", "event": "x_\"y"}"#,
        ] {
            assert_eq!(glance(other), None);
        }
    }

    #[test]
    fn reads_fields_in_order_and_skips_damaged_lines() {
        let record =
            Record::parse(br#"{"ts": "2026-01-01T00:00:00.000Z", "event": "x_y", "b": 1, "a": null}"#)
                .unwrap();
        assert_eq!(record.kind, "x_y");
        assert_eq!(record.fields.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(record.int("b"), Some(1));
        for damaged in [&b""[..], b"  ", b"[1]", b"{\"ts\": \"2026", b"3"] {
            assert_eq!(Record::parse(damaged), None);
        }
        assert_eq!(
            Record::parse(b"{\"event\": \"a_b\", \"raw\": \"\xff\"}").unwrap().str("raw"),
            Some("\u{fffd}")
        );
    }
}
