//! The goal ledger: a short file of assessments, newest first, that the prompt includes. Pure but for one function.

use std::fs;
use std::io;
use std::path::Path;

use crate::masking::mask;
use crate::store::{atomic, regular};

/// The largest the file gets, in bytes.
const SIZE_MAX: usize = 8192;
/// The largest file that is taken for a ledger, in bytes: a person may have written more than we do.
const READ_MAX: u64 = 16 << 20;

/// One assessment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it was made.
    pub timestamp: &'a str,
    /// What was observed.
    pub observation: &'a str,
    /// What the agent should ask itself.
    pub question: &'a str,
    /// How sure we are.
    pub confidence: &'a str,
}

/// Puts an entry at the top of the ledger file.
///
/// # Errors
/// When the file cannot be read or replaced.
pub fn prepend(path: &Path, entry: &Entry<'_>) -> io::Result<()> {
    let before = match regular::read(path, READ_MAX) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    atomic::replace_with_mode(path, with_entry(&before, entry).as_bytes(), 0o644)
}

/// Returns the ledger with an entry on top, cut to [`SIZE_MAX`] by dropping the oldest blocks, never the newest.
fn with_entry(before: &str, entry: &Entry<'_>) -> String {
    let newest = format!(
        "## {}\nObservation: {}\nQuestion: {}\nConfidence: {}",
        entry.timestamp, entry.observation, entry.question, entry.confidence
    );
    let mut text = mask(&newest);
    for block in before.split("\n\n").map(|block| block.trim_matches('\n')).filter(|block| !block.is_empty())
    {
        let block = mask(block);
        if text.len() + block.len() + 3 > SIZE_MAX {
            break;
        }
        text.push_str("\n\n");
        text.push_str(&block);
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(timestamp: &str) -> Entry<'_> {
        Entry { timestamp, observation: "o", question: "q?", confidence: "medium" }
    }

    #[test]
    fn the_newest_entry_comes_first() {
        let one = with_entry("", &entry("t1"));
        assert_eq!(one, "## t1\nObservation: o\nQuestion: q?\nConfidence: medium\n");
        let two = with_entry(&one, &entry("t2"));
        assert!(two.starts_with("## t2\n") && two.ends_with(&one), "{two}");
        assert_eq!(two.matches("\n\n").count(), 1);
    }

    #[test]
    fn the_oldest_blocks_go_when_it_gets_too_long() {
        let mut text = String::new();
        for number in 0..300 {
            text = with_entry(&text, &entry(&format!("t{number}")));
            assert!(text.len() <= SIZE_MAX);
        }
        assert!(text.starts_with("## t299\n") && !text.contains("## t0\n"));
        let huge = with_entry(&"x".repeat(3 * SIZE_MAX), &entry("now"));
        assert_eq!(huge, with_entry("", &entry("now")));
    }
}
