//! The end of a round's log: the last JSON lines, however much plain text lies between them, in bounded memory.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value;

use crate::store::backward::Lines;
use crate::store::regular::open_regular;

/// Lines that look like JSON and are looked at.
const WINDOW: usize = 200;

/// The longest line that is read whole, in bytes: some agents repeat the whole conversation in their last record.
const LINE_MAX: usize = 16 << 20;

/// All lines of the window together, in bytes; older ones are left out.
const WINDOW_BYTES: usize = 32 << 20;

/// Longer strings inside a record are cut when they are read, in bytes; no rule needs more of one.
const STRING_MAX: usize = 16 << 10;

/// Lines and bytes looked at for a record of the start.
const HEAD_LINES: usize = 20;
const HEAD_BYTES: u64 = 1 << 20;

/// Returns the JSON objects among the last lines of the log, oldest first. A missing log has none.
pub(super) fn tail(log: &Path) -> Vec<Value> {
    let mut bytes = 0;
    let json = Lines::new(vec![log.to_owned()]).line_max(LINE_MAX).filter(|line| looks_like_json(line));
    let mut records: Vec<Value> = json
        .take(WINDOW)
        .take_while(|line| {
            bytes += line.len();
            bytes <= WINDOW_BYTES
        })
        .filter_map(|line| parse(&line))
        .collect();
    records.reverse();
    records
}

/// Returns the JSON objects among the first lines of the log.
pub(super) fn head(log: &Path) -> Vec<Value> {
    let Ok(file) = open_regular(log) else { return Vec::new() };
    let lines = BufReader::new(file.take(HEAD_BYTES)).split(b'\n').map_while(Result::ok);
    lines.take(HEAD_LINES).filter_map(|line| parse(&line)).collect()
}

fn looks_like_json(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// Reads one line; only an object is a record. Bad UTF-8 is replaced, and what JSON has no number for is null.
fn parse(line: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim();
    let value = serde_json::from_str(text).or_else(|_| serde_json::from_str(&without_odd_numbers(text)));
    let mut value: Value = value.ok()?;
    shorten(&mut value);
    value.is_object().then_some(value)
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > STRING_MAX => {
            let mut end = STRING_MAX;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            // Half a word could be half a secret, which nothing recognises any more.
            text.truncate(text.rfind(char::is_whitespace).unwrap_or(0));
            text.shrink_to_fit();
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Replaces what some programs print as a number and JSON does not know: NaN, infinities, numbers too large.
fn without_odd_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            'N' | 'I' | '-' | '0'..='9' => rest
                .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'))
                .unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        let odd = matches!(token, "NaN" | "Infinity" | "-Infinity" | "-NaN")
            || (first != '"' && token.parse::<f64>().is_ok_and(f64::is_infinite));
        out.push_str(if odd { "null" } else { token });
        rest = after;
    }
    out
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn nesting_without_end_is_no_record() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(100).as_bytes()).is_some());
        assert_eq!(parse(nested(100_000).as_bytes()), None);
    }

    fn log(write: impl FnOnce(&mut File)) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("R1.log");
        write(&mut File::create(&path).unwrap());
        (dir, path)
    }

    #[test]
    fn plain_text_does_not_push_records_out() {
        let (_dir, path) = log(|file| {
            for number in 0..300 {
                writeln!(file, "  {{\"n\":{number}}}\nplain\n[1]\n").unwrap();
            }
            write!(file, "{}", "noise\n".repeat(50_000)).unwrap();
        });
        let records = tail(&path);
        // Lists take a place in the window and are no records.
        assert_eq!(records.len(), 100);
        assert_eq!(records[99]["n"], 299);
        assert_eq!(records[0]["n"], 200);
        assert_eq!(head(&path).len(), 5);
    }

    #[test]
    fn a_long_last_record_is_read_and_its_strings_are_cut() {
        let (_dir, path) = log(|file| {
            write!(file, "{{\"a\":\"{}\",\"b\":1}}", "word ".repeat(1 << 20)).unwrap();
        });
        let records = tail(&path);
        assert_eq!(records[0]["b"], 1);
        let text = records[0]["a"].as_str().unwrap();
        assert!(text.len() <= STRING_MAX && text.ends_with("word"));
    }

    #[test]
    fn a_large_log_without_records_is_read_in_bounded_memory() {
        let (_dir, path) = log(|file| {
            writeln!(file, "{{\"n\":1}}").unwrap();
            // Sparse: eight times the longest line, and no disk to hold it.
            file.set_len(8 * LINE_MAX as u64).unwrap();
        });
        assert_eq!(tail(&path).len(), 1);
    }

    #[test]
    fn odd_bytes_and_numbers_do_not_lose_a_record() {
        let check = |line: &[u8], expected: &str| {
            let value = parse(line).map_or_else(|| "nothing".into(), |value| value.to_string());
            assert_eq!(value, expected, "{}", String::from_utf8_lossy(line));
        };
        check(b"{\"a\":NaN,\"b\":[-Infinity,1e999,-1.5]}", r#"{"a":null,"b":[null,null,-1.5]}"#);
        check(b"{\"a\":\"NaN \\\" Infinity\",\"b\":NaN}", r#"{"a":"NaN \" Infinity","b":null}"#);
        check(b"{\"a\":\"\xff\"}", "{\"a\":\"\u{fffd}\"}");
        check(b"{\"a\":", "nothing");
        check(b"[1]", "nothing");
        check(b"{\"a\":1} tail", "nothing");
    }

    #[test]
    fn a_missing_log_is_empty() {
        assert!(tail(Path::new("/nonexistent/R1.log")).is_empty());
        assert!(head(Path::new("/nonexistent/R1.log")).is_empty());
    }
}
