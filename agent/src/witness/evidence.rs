//! What the end of a failed round's log says: a refused login, a network error, or neither.

use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use regex::bytes::{RegexSet, RegexSetBuilder};

use super::snapshot::{Evidence, Matches};
use crate::error::in_words;
use crate::store::agent_logs;
use crate::store::backward::Lines;
use crate::store::layout::Layout;
use crate::store::regular::open_regular;

/// Lines of a log that are looked at.
const TAIL_LINES: usize = 200;
/// Bytes of a log that are looked at.
const TAIL_BYTES: usize = 128 * 1024;
/// Bytes a compiled set may take; the patterns are the operator's.
const SET_BYTES: usize = 4 << 20;
/// A log's name carries the second its round started; the event may be written a little later or earlier.
const NAME_SLACK_S: std::ops::RangeInclusive<i64> = -3..=3;

/// The words of a network error, as the round itself looks for them.
const NETWORK: &[&str] = &[
    r"\bconnection refused\b",
    r"\beconnrefused\b",
    r"\bdns\b",
    r"\bname or service not known\b",
    r"\b(connect|connection) timed out\b",
    r"\bnodename nor servname\b",
    r"\bnetwork (is )?unreachable\b",
    r"\bno route to host\b",
    r"\b(enotfound|eai_again)\b",
    r"\b(temporary failure in name resolution|could not resolve host)\b",
    r"\b(500|502|503) (service unavailable|bad gateway|gateway timeout)\b",
    r"\bconnection reset\b",
];

/// The compiled patterns.
#[derive(Debug)]
pub struct Patterns {
    auth: RegexSet,
    network: RegexSet,
}

impl Patterns {
    /// Compiles the operator's auth patterns and the network's.
    ///
    /// # Errors
    /// When a pattern does not compile or takes too much; the configuration's loader refuses such a one first.
    pub fn compile(auth: &[String]) -> Result<Patterns, regex::Error> {
        Ok(Patterns { auth: set(auth)?, network: set(NETWORK)? })
    }

    /// Returns which of them match.
    pub fn matches(&self, text: &[u8]) -> Matches {
        Matches { auth: self.auth.is_match(text), network: self.network.is_match(text) }
    }
}

fn set<S: AsRef<str>>(patterns: &[S]) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(patterns)
        .case_insensitive(true)
        .multi_line(true)
        .unicode(false)
        .size_limit(SET_BYTES)
        .dfa_size_limit(SET_BYTES)
        .build()
}

/// Looks at the end of a round's log. A log that is gone (pruned) says nothing.
pub fn look(layout: &Layout, round: (i64, Option<Timestamp>), patterns: &Patterns) -> Evidence {
    let (round_num, started) = round;
    let Some(path) = agent_log(layout, round_num, started) else { return Evidence::Read(Matches::default()) };
    match open_regular(&path) {
        Ok(_) => Evidence::Read(patterns.matches(&tail(&path, TAIL_LINES))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Evidence::Read(Matches::default()),
        Err(error) => Evidence::Unreadable(in_words(&error)),
    }
}

/// Returns the agent's log of a round: by its name when the start is known, else by looking through the folder.
fn agent_log(layout: &Layout, round_num: i64, started: Option<Timestamp>) -> Option<PathBuf> {
    let by_name = started.and_then(|started| {
        NAME_SLACK_S
            .filter_map(|s| started.checked_add(SignedDuration::from_secs(s)).ok())
            .map(|at| layout.agent_log(round_num, at))
            .find(|path| path.exists())
    });
    by_name.or_else(|| agent_logs::of_round(layout, round_num))
}

/// Returns the last `lines` lines of a file, bounded in bytes, oldest first.
pub fn tail(path: &Path, lines: usize) -> Vec<u8> {
    let mut size = 0;
    let newest_first: Vec<Vec<u8>> = Lines::new(vec![path.to_owned()])
        .take(lines)
        .take_while(|line| {
            let first = size == 0;
            size += line.len() + 1;
            first || size <= TAIL_BYTES
        })
        .collect();
    let mut text = Vec::new();
    for line in newest_first.iter().rev() {
        let kept = line.len().min(TAIL_BYTES);
        text.extend_from_slice(line.get(line.len() - kept..).unwrap_or_default());
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::event_log::append_line;

    fn patterns() -> Patterns {
        Patterns::compile(&[r"\bunauthorized\b".to_owned(), r"\b401\b".to_owned()]).unwrap()
    }

    #[test]
    fn words_match_whole_and_in_any_case() {
        for (text, auth, network) in [
            ("HTTP 401 Unauthorized", true, false),
            ("14017 tokens", false, false),
            ("curl: (7) Connection Refused", false, true),
            ("adnsx", false, false),
            ("502 bad gateway", false, true),
            ("connect timed out", false, true),
            ("connect: Network is unreachable", false, true),
            ("getaddrinfo EAI_AGAIN api.example", false, true),
            ("curl: (6) Could not resolve host: x", false, true),
        ] {
            assert_eq!(patterns().matches(text.as_bytes()), Matches { auth, network }, "{text}");
        }
    }

    #[test]
    fn only_the_end_of_the_right_log_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        std::fs::create_dir(layout.rounds_dir()).unwrap();
        let at: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let filler = "fine\n".repeat(TAIL_LINES);
        append_line(&layout.agent_log(1, at), format!("401\n{filler}").as_bytes()).unwrap();
        append_line(&layout.agent_log(10, at), format!("{filler}401\n").as_bytes()).unwrap();
        let auth = |round_num, started| {
            let evidence = look(&layout, (round_num, started), &patterns());
            evidence == Evidence::Read(Matches { auth: true, network: false })
        };
        assert!(!auth(1, None));
        assert!(auth(10, None));
        assert!(auth(10, Some(at + SignedDuration::from_secs(2))));
        assert!(auth(10, Some(at + SignedDuration::from_secs(7200))));
        assert!(!auth(2, Some(at)));
    }

    #[test]
    fn an_endless_line_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        append_line(&path, &[vec![b'x'; 3 * TAIL_BYTES], b"401\n".to_vec()].concat()).unwrap();
        let text = tail(&path, TAIL_LINES);
        assert!(text.len() <= TAIL_BYTES + 1);
        assert!(text.ends_with(b"401\n"));
    }
}
