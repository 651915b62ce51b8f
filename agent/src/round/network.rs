//! Words of network trouble in a failed round's log.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use regex::bytes::Regex;

use crate::pattern::{Case, compile};

/// What is searched, case-insensitively and in whole words.
const PATTERN: &str = r"\b(?:connection refused|econnrefused|dns|name or service not known|connect(?:ion)? timed out|nodename nor servname|network (?:is )?unreachable|50[023] (?:service unavailable|bad gateway|gateway timeout)|connection reset|no route to host|enotfound|eai_again|temporary failure in name resolution|could not resolve host)\b";

const CHUNK: usize = 1 << 20;

/// More than the longest match: what one chunk hands to the next.
const OVERLAP: usize = 64;

/// Bytes searched of a log; of a larger one the end.
const SEARCHED_MAX: u64 = 256 << 20;

/// Returns the first match in the log.
///
/// # Errors
/// When the log cannot be read.
pub fn scan(log: &File) -> io::Result<Option<String>> {
    let pattern = compile(PATTERN, Case::Ignored).expect("the pattern is a constant and a test compiles it");
    let length = log.metadata()?.len();
    let mut offset = length.saturating_sub(SEARCHED_MAX);
    let mut window: Vec<u8> = Vec::with_capacity(CHUNK + OVERLAP);
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = log.read_at(&mut buffer, offset)?;
        offset += count as u64;
        window.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if let Some(found) = first_in(&pattern, &window) {
            return Ok(Some(found));
        }
        if count == 0 {
            return Ok(None);
        }
        window.drain(..window.len().saturating_sub(OVERLAP));
    }
}

fn first_in(pattern: &Regex, window: &[u8]) -> Option<String> {
    pattern.find(window).map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn check(text: &[u8], expected: Option<&str>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        assert_eq!(scan(&file).unwrap().as_deref(), expected, "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn names_the_trouble_in_whole_words_and_any_case() {
        check(b"x: Connection Refused (111)", Some("Connection Refused"));
        check(b"ECONNREFUSED 127.0.0.1", Some("ECONNREFUSED"));
        check(b"DNS failure\nconnection reset", Some("DNS"));
        check(b"connect timed out", Some("connect timed out"));
        check(b"connection timed out", Some("connection timed out"));
        check(b"network unreachable", Some("network unreachable"));
        check(b"HTTP 502 Bad Gateway", Some("502 Bad Gateway"));
        check(b"\xff\x00503 service unavailable\xff", Some("503 service unavailable"));
        check(b"getaddrinfo: name or service not known", Some("name or service not known"));
        check(b"nodename nor servname provided", Some("nodename nor servname"));
        check(b"connect: Network is unreachable", Some("Network is unreachable"));
        check(b"getaddrinfo ENOTFOUND api.example", Some("ENOTFOUND"));
        check(b"curl: (6) Could not resolve host: x", Some("Could not resolve host"));
        check(b"adnsx 1502 bad gateway, 504 gateway timeout", None);
        check(b"", None);
    }

    #[test]
    fn a_match_over_the_edge_of_a_chunk_is_found() {
        for shift in [3, 9, 17] {
            let mut text = vec![b' '; CHUNK - shift];
            text.extend_from_slice(b"connection refused");
            check(&text, Some("connection refused"));
        }
    }
}
