//! Finding a time in an event file without reading it: lines are in the order of time, but for a clock that went back.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use jiff::Timestamp;

use super::record::{LINE_MAX, Record, glance};
use super::regular::open_regular;
use super::time;

/// Halving ends at this many bytes; the rest is cheaper to read than to search.
const NEAR: u64 = 64 * 1024;
/// One look at a place in the file.
const CHUNK: usize = 16 * 1024;
/// How far before the place found must be older lines only, in bytes: a clock that went back repeats times.
const MARGIN: u64 = 256 * 1024;

/// Returns the start of a line before which, for a good stretch, no line is as late as `at`.
///
/// # Errors
/// When the file cannot be read.
pub fn first_since(path: &Path, at: Timestamp) -> io::Result<u64> {
    let file = open_regular(path)?;
    let (mut low, mut high) = (0, file.metadata()?.len());
    while high - low > NEAR {
        let middle = low + (high - low) / 2;
        match line_behind(&file, middle, high)? {
            Some((start, ts)) if ts < at => low = start,
            Some(_) | None => high = middle,
        }
    }
    while low > 0 {
        let before = low.saturating_sub(MARGIN);
        if !any_since(&file, before..low, at)? {
            break;
        }
        low = before;
    }
    line_start(&file, low)
}

/// Returns when a line was written.
pub fn time_of(line: &[u8]) -> Option<Timestamp> {
    match glance(line) {
        Some((ts, _)) => time::parse(ts),
        None => Record::parse(line)?.time(),
    }
}

/// Returns the first line that starts behind `from` and tells its time, before `end`.
fn line_behind(file: &File, from: u64, end: u64) -> io::Result<Option<(u64, Timestamp)>> {
    let mut bytes: Vec<u8> = Vec::new();
    // Where `bytes` starts, and whether that is a line's start.
    let (mut start, mut aligned) = (from, false);
    loop {
        while let Some(newline) = bytes.iter().position(|&byte| byte == b'\n') {
            let rest = bytes.split_off(newline + 1);
            let line = std::mem::replace(&mut bytes, rest);
            if let Some(ts) = time_of(line.trim_ascii_end()).filter(|_| aligned) {
                return Ok(Some((start, ts)));
            }
            start += line.len() as u64;
            aligned = true;
            if start >= end {
                return Ok(None);
            }
        }
        let mut chunk = vec![0; CHUNK];
        let count = file.read_at(&mut chunk, start + bytes.len() as u64)?;
        if count == 0 || bytes.len() > 2 * LINE_MAX {
            return Ok(None);
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
}

fn any_since(file: &File, range: std::ops::Range<u64>, at: Timestamp) -> io::Result<bool> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or_default()];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.split(|&byte| byte == b'\n').filter_map(time_of).any(|ts| ts >= at))
}

/// Returns the start of the line that `offset` lies in.
fn line_start(file: &File, offset: u64) -> io::Result<u64> {
    let mut end = offset;
    while end > 0 {
        let begin = end.saturating_sub(CHUNK as u64);
        let mut bytes = vec![0; usize::try_from(end - begin).unwrap_or_default()];
        file.read_exact_at(&mut bytes, begin)?;
        if let Some(newline) = bytes.iter().rposition(|&byte| byte == b'\n') {
            return Ok(begin + newline as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::event_log::append_line;
    use jiff::SignedDuration;

    fn base() -> Timestamp {
        "2026-03-01T00:00:00Z".parse().unwrap()
    }

    fn line(second: i64) -> String {
        let ts = time::stamp(base() + SignedDuration::from_secs(second));
        format!("{{\"ts\": \"{ts}\", \"event\": \"round_end\", \"round_num\": {second}}}\n")
    }

    fn check(text: &str, second: i64, expected: &[i64]) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events-2026-03.jsonl");
        append_line(&path, text.as_bytes()).unwrap();
        let at = base() + SignedDuration::from_secs(second);
        let start = usize::try_from(first_since(&path, at).unwrap()).unwrap();
        assert!(start == 0 || text.as_bytes()[start - 1] == b'\n');
        let found: Vec<i64> = text[start..]
            .lines()
            .filter(|line| time_of(line.as_bytes()).is_some_and(|ts| ts >= at))
            .map(|line| Record::parse(line.as_bytes()).unwrap().round_num().unwrap())
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn nothing_since_a_time_is_missed_and_little_before_it_is_read() {
        let text: String = (0..20_000).map(line).collect();
        for second in [-5, 0, 1, 9_999, 19_998, 19_999, 20_000] {
            check(&text, second, &(second.max(0)..20_000).collect::<Vec<_>>());
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events-2026-03.jsonl");
        append_line(&path, text.as_bytes()).unwrap();
        let start = first_since(&path, base() + SignedDuration::from_secs(19_990)).unwrap();
        assert!(start + NEAR >= text.len() as u64 - 2 * line(1).len() as u64 * 10);
    }

    #[test]
    fn a_clock_that_went_back_hides_nothing_near() {
        let text: String = (0..3_000).chain(2_000..6_000).map(line).collect();
        let expected: Vec<i64> = (2_500..3_000).chain(2_500..6_000).collect();
        check(&text, 2_500, &expected);
    }

    #[test]
    fn damage_and_an_empty_file_are_survived() {
        check("", 0, &[]);
        let damaged = "x".repeat(200_000);
        let text = format!("{}{damaged}\n{}", line(1), line(2));
        check(&text, 2, &[2]);
    }
}
