//! An event as a line for a person: `[HH:MM:SS.mmm] kind key=value ...`. Pure.

use std::fmt::Write;

use serde_json::Value;

use crate::store::record::Record;

/// Returns the line. The clock is UTC's, as in the log; values look as they always have.
pub fn line(record: &Record) -> String {
    let clock = record.ts.get(11..23).unwrap_or(&record.ts);
    let mut text = format!("[{}] {:<20}", one_line(clock), one_line(&record.kind));
    for (field, value) in &record.fields {
        let name = if field == "round_num" { "round" } else { field };
        text.push(' ');
        text.push_str(&one_line(name));
        text.push('=');
        match value {
            Value::String(string) => text.push_str(&one_line(string)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                literal(&mut text, value);
            }
        }
    }
    text
}

/// Replaces what would break the line or the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn literal(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("None"),
        Value::Bool(true) => text.push_str("True"),
        Value::Bool(false) => text.push_str("False"),
        Value::Number(number) => {
            // Writing to a string cannot fail.
            let _ = write!(text, "{number}");
        }
        Value::String(string) => {
            let quote = if string.contains('\'') && !string.contains('"') { '"' } else { '\'' };
            text.push(quote);
            for c in one_line(string).chars() {
                if c == '\\' || c == quote {
                    text.push('\\');
                }
                text.push(c);
            }
            text.push(quote);
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                literal(text, item);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (index, (key, field)) in fields.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                literal(text, &Value::String(key.clone()));
                text.push_str(": ");
                literal(text, field);
            }
            text.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        assert_eq!(line(&Record::parse(json.as_bytes()).unwrap()), expected);
    }

    #[test]
    fn lines_name_the_clock_the_kind_and_every_field() {
        check(
            r#"{"ts": "2026-03-01T05:06:07.008Z", "event": "agent_exit", "round_num": 7, "exit_code": 0, "duration_s": 61.5, "timed_out": false}"#,
            "[05:06:07.008] agent_exit           round=7 exit_code=0 duration_s=61.5 timed_out=False",
        );
        check(
            r#"{"ts": "2026-03-01T05:06:07.008Z", "event": "transient_error_backoff_capped", "phase": null, "files": ["a", "b'c"], "o": {"x": 1}}"#,
            "[05:06:07.008] transient_error_backoff_capped phase=None files=['a', \"b'c\"] o={'x': 1}",
        );
    }

    #[test]
    fn nothing_in_a_value_breaks_the_line_or_the_terminal() {
        check(
            "{\"ts\": \"\", \"event\": \"a_b\", \"raw\": \"x\\ny\\u001b[31m\"}",
            "[] a_b                  raw=x y [31m",
        );
        check("{\"ts\": \"\", \"event\": \"a\\u001b[2J\", \"b\\u009b\": 1}", "[] a [2J                b =1");
    }
}
