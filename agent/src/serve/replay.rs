//! Reading an event file once from its beginning, without a copy per line: a Loop that starts on an old log is not to
//! pay for its age twice.

use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::store::record::LINE_MAX;
use crate::store::regular::open_regular;

const CHUNK: usize = 256 * 1024;

/// Hands every whole line of a file to `each`, with its newline, and returns the offset behind the last one. A line
/// longer than a reader looks at is left out.
///
/// # Errors
/// What opening or reading returned.
pub(super) fn lines(path: &Path, mut each: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(CHUNK, open_regular(path)?);
    // The beginning of a line whose end is in the next chunk, and how long it really is.
    let (mut carried, mut length) = (Vec::new(), 0u64);
    let mut behind = 0;
    loop {
        let chunk = reader.fill_buf()?;
        let size = chunk.len();
        if size == 0 {
            return Ok(behind);
        }
        for piece in chunk.split_inclusive(|&byte| byte == b'\n') {
            length += piece.len() as u64;
            let is_whole = piece.ends_with(b"\n");
            if is_whole && carried.is_empty() {
                each(piece);
            } else if carried.len() <= LINE_MAX {
                carried.extend_from_slice(piece);
                if is_whole {
                    each(&carried);
                }
            }
            if is_whole {
                behind += length;
                length = 0;
                carried.clear();
            }
        }
        reader.consume(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::atomic;

    fn check(text: &[u8], expected: &[usize], behind: u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        atomic::replace(&path, text).unwrap();
        let mut sizes = Vec::new();
        assert_eq!(lines(&path, |line| sizes.push(line.len())).unwrap(), behind);
        assert_eq!(sizes, expected);
    }

    #[test]
    fn whole_lines_are_handed_out_across_chunks_and_a_torn_one_waits() {
        check(b"", &[], 0);
        check(b"a\n\nbc\nto", &[2, 1, 3], 6);
        let long = [vec![b'x'; CHUNK + 10], b"\ny\n".to_vec()].concat();
        check(&long, &[CHUNK + 11, 2], long.len() as u64);
    }

    #[test]
    fn an_endless_line_is_left_out_and_counted() {
        let text = [vec![b'x'; 3 * LINE_MAX], b"\ny\n".to_vec()].concat();
        check(&text, &[2], text.len() as u64);
    }
}
