//! Lines of the history, for people and as JSON. Pure.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::history::query::LogLine;

/// The most of an event's fields that is shown, in characters.
const FIELDS: usize = 160;

/// Returns a line without its newline.
pub fn text(line: &LogLine, zone: &TimeZone) -> String {
    let at = line.at.to_zoned(zone.clone()).strftime("%m-%d %H:%M:%S");
    let of = match (line.host.as_str(), line.project.as_str()) {
        ("", _) => "-".to_owned(),
        (host, "") => host.to_owned(),
        (host, project) => format!("{host}/{project}"),
    };
    format!("{at}  {of:<24} {:<11} {}", line.kind, what(line)).trim_end().to_owned()
}

/// Returns what a line says behind its kind.
pub fn what(line: &LogLine) -> String {
    let word = |key: &str| line.body.get(key).and_then(Value::as_str).unwrap_or_default();
    match line.kind.as_str() {
        "alert" => format!("{} {} \u{2014} {}", word("severity"), line.name, word("message")),
        "resolved" => {
            let seconds = line.body.get("firing_for_s").and_then(Value::as_i64).unwrap_or_default();
            format!("{} \u{2014} over after {}", line.name, crate::span::words(seconds))
        }
        "stop" => format!("for {} by the {}", line.name, word("by")),
        "stop_failed" => format!("for {}: {}", line.name, word("reason")),
        "resume" | "reboot" => word("by").to_owned(),
        "asked" => match word("error") {
            "" => format!("{} by {}", line.name, word("by")),
            error => format!("{} by {} failed: {error}", line.name, word("by")),
        },
        "ack" | "unack" if line.host.is_empty() => {
            format!("{} {} by {}", word("subject"), line.name, word("by"))
        }
        "ack" | "unack" => format!("{} by {}", line.name, word("by")),
        "silence" => silence(&line.body),
        "link" => format!("{} {}", line.name.trim_start_matches("link_"), word("reason")),
        _ => format!("{} {}", line.name, fields(&line.body)),
    }
}

fn silence(body: &Value) -> String {
    let word = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let id = body.get("id").and_then(Value::as_i64).unwrap_or_default();
    let matchers = body.get("matchers").and_then(Value::as_array);
    let matchers: Vec<&str> = matchers.into_iter().flatten().filter_map(Value::as_str).collect();
    if matchers.is_empty() {
        return format!("{id} ended by {}", word("by"));
    }
    let comment = match word("comment") {
        "" => String::new(),
        comment => format!(": {comment}"),
    };
    format!("{id} {} until {} by {}{comment}", matchers.join(" "), word("until"), word("by"))
}

/// Returns a line as one object.
pub fn json(line: &LogLine) -> Value {
    json!({
        "schema": 1,
        "at": agent_runner::store::time::stamp(line.at),
        "host": line.host,
        "project": line.project,
        "kind": line.kind,
        "name": line.name,
        "body": line.body,
    })
}

fn fields(body: &Value) -> String {
    let all = body.as_object().into_iter().flatten();
    let shown: Vec<String> = all
        .filter(|(key, value)| !matches!(key.as_str(), "ts" | "event") && !value.is_null())
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    shown.join(" ").chars().filter(|c| !c.is_control()).take(FIELDS).collect()
}
