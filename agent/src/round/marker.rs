//! Finding the agent's terminal marker in its growing log: raw bytes, every byte once.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const CHUNK: usize = 256 * 1024;

/// Bytes read in one look; a flood is continued in the next.
const LOOK_MAX: u64 = 64 << 20;

/// A search that goes on where it stopped.
#[derive(Debug, Clone)]
pub struct MarkerSearch {
    marker: Vec<u8>,
    offset: u64,
    /// The end of what was read, shorter than the marker, which may have begun there.
    tail: Vec<u8>,
}

/// What a look at the log found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The marker.
    Found,
    /// Nothing, and the log ends here.
    AtEnd,
    /// Nothing yet, and there is more to read.
    More,
}

impl MarkerSearch {
    /// Returns a search from the start of a log; the marker is not empty.
    pub fn new(marker: &str) -> MarkerSearch {
        MarkerSearch { marker: marker.as_bytes().to_vec(), offset: 0, tail: Vec::new() }
    }

    /// Reads what is new. A log that has become shorter is read again from its start.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn look(&mut self, log: &File) -> io::Result<Look> {
        let length = log.metadata()?.len();
        if length < self.offset {
            self.offset = 0;
            self.tail.clear();
        }
        let stop = length.min(self.offset + LOOK_MAX);
        let mut buffer = vec![0; CHUNK];
        while self.offset < stop {
            let count = log.read_at(&mut buffer, self.offset)?;
            if count == 0 {
                break;
            }
            self.offset += count as u64;
            if self.feed(buffer.get(..count).unwrap_or_default()) {
                return Ok(Look::Found);
            }
        }
        Ok(if self.offset < length { Look::More } else { Look::AtEnd })
    }

    fn feed(&mut self, bytes: &[u8]) -> bool {
        self.tail.extend_from_slice(bytes);
        let found = contains(&self.tail, &self.marker);
        let keep = self.marker.len().saturating_sub(1).min(self.tail.len());
        self.tail.drain(..self.tail.len() - keep);
        found
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some((&first, rest)) = needle.split_first() else { return false };
    let mut from = haystack;
    while let Some(at) = from.iter().position(|&byte| byte == first) {
        from = from.get(at + 1..).unwrap_or_default();
        if from.starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn look_after(pieces: &[&[u8]]) -> Vec<Look> {
        let mut file = tempfile::tempfile().unwrap();
        let mut search = MarkerSearch::new("\"type\":\"result\"");
        pieces
            .iter()
            .map(|piece| {
                file.write_all(piece).unwrap();
                search.look(&file).unwrap()
            })
            .collect()
    }

    #[test]
    fn a_marker_split_over_looks_is_found_among_bad_bytes() {
        use Look::{AtEnd, Found};
        assert_eq!(look_after(&[b"\0\xff\"type\":\"re", b"sult\"}"]), [AtEnd, Found]);
        assert_eq!(look_after(&[b"\"type\": \"result\"", b""]), [AtEnd, AtEnd]);
        assert_eq!(look_after(&[&vec![b'"'; 3 * CHUNK], b"type\":\"result\""]), [AtEnd, Found]);
    }

    #[test]
    fn a_truncated_log_is_read_again() {
        let mut file = tempfile::tempfile().unwrap();
        let mut search = MarkerSearch::new("END");
        file.write_all(b"something long").unwrap();
        assert_eq!(search.look(&file).unwrap(), Look::AtEnd);
        file.set_len(0).unwrap();
        file.write_all_at(b"END", 0).unwrap();
        assert_eq!(search.look(&file).unwrap(), Look::Found);
    }

    proptest! {
        #[test]
        fn feeding_in_pieces_finds_what_is_there(text in "[ab]{0,40}", cut in 0usize..40) {
            let mut search = MarkerSearch::new("abba");
            let (one, two) = text.as_bytes().split_at(cut.min(text.len()));
            let found = search.feed(one) | search.feed(two);
            prop_assert_eq!(found, text.contains("abba"));
        }
    }
}
