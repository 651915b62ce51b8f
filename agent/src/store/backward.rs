//! Reading files of lines from the end, so that the cost is what is asked and not the age of the log.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::record::{LINE_MAX, Record};
use super::regular::open_regular;

const CHUNK: u64 = 64 * 1024;

/// The lines of several files, newest first. Empty, unreadable and vanished files count as empty.
#[derive(Debug)]
pub struct Lines {
    /// Files still to come, the newest last, each with where its lines end if that is not the end of the file.
    files: Vec<(PathBuf, Option<u64>)>,
    current: Option<Tail>,
    bytes_read: u64,
    line_max: usize,
}

impl Lines {
    /// Returns the lines of `files` (oldest first, as the layout lists them) from the end of the last one.
    pub fn new(files: Vec<PathBuf>) -> Lines {
        Lines::of(files.into_iter().map(|path| (path, None)).collect())
    }

    /// Returns the lines before a place in each file (oldest first), as a follower goes on behind it.
    pub fn before(places: Vec<(PathBuf, u64)>) -> Lines {
        Lines::of(places.into_iter().map(|(path, end)| (path, Some(end))).collect())
    }

    fn of(files: Vec<(PathBuf, Option<u64>)>) -> Lines {
        Lines { files, current: None, bytes_read: 0, line_max: LINE_MAX }
    }

    /// Sets how many bytes a line may have to come out whole; of a longer one only some bytes come out.
    pub fn line_max(mut self, bytes: usize) -> Lines {
        self.line_max = bytes;
        self
    }

    /// Returns how many bytes have been read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read + self.current.as_ref().map_or(0, |tail| tail.bytes_read)
    }
}

impl Iterator for Lines {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(tail) = &mut self.current {
                if let Some(line) = tail.next_line() {
                    return Some(line);
                }
                self.bytes_read += tail.bytes_read;
                self.current = None;
            }
            let (path, end) = self.files.pop()?;
            self.current = Tail::open(&path, end, self.line_max).ok();
        }
    }
}

/// Returns the event records of `files` (oldest first), newest first; damaged lines are skipped.
pub fn records(files: Vec<PathBuf>) -> impl Iterator<Item = Record> {
    Lines::new(files).filter_map(|line| Record::parse(&line))
}

#[derive(Debug)]
struct Tail {
    file: File,
    /// Everything from here on is in `chunk` or `later`, or has been returned.
    start: u64,
    /// What was read last, up to the piece of it in `later`.
    chunk: Vec<u8>,
    /// The later pieces of the line that is being put together, the last piece first.
    later: Vec<Vec<u8>>,
    /// The length of that line so far.
    length: usize,
    bytes_read: u64,
    line_max: usize,
    ended: bool,
}

impl Tail {
    fn open(path: &Path, end: Option<u64>, line_max: usize) -> io::Result<Tail> {
        let file = open_regular(path)?;
        let size = file.metadata()?.len();
        let start = end.map_or(size, |end| end.min(size));
        let (chunk, later) = (Vec::new(), Vec::new());
        let mut tail =
            Tail { file, start, chunk, later, length: 0, bytes_read: 0, line_max, ended: start == 0 };
        // The newline that ends the last line separates nothing.
        if tail.fill() && tail.chunk.last() == Some(&b'\n') {
            tail.chunk.pop();
        }
        Ok(tail)
    }

    /// Reads one chunk more; false at the start of the file, and when it shrank underneath.
    fn fill(&mut self) -> bool {
        let size = self.start.min(CHUNK);
        if size == 0 {
            return false;
        }
        let mut chunk = vec![0; usize::try_from(size).unwrap_or_default()];
        if self.file.read_exact_at(&mut chunk, self.start - size).is_err() {
            self.start = 0;
            return false;
        }
        self.bytes_read += size;
        self.start -= size;
        self.chunk = chunk;
        true
    }

    fn next_line(&mut self) -> Option<Vec<u8>> {
        if self.ended {
            return None;
        }
        loop {
            if let Some(at) = self.chunk.iter().rposition(|&byte| byte == b'\n') {
                let first = self.chunk.split_off(at + 1);
                self.chunk.pop();
                return Some(self.joined(first));
            }
            let piece = std::mem::take(&mut self.chunk);
            self.length += piece.len();
            self.later.push(piece);
            if self.length > self.line_max {
                // A line no reader looks at: only its being there matters.
                self.later.clear();
            }
            if !self.fill() {
                self.ended = true;
                return Some(self.joined(Vec::new()));
            }
        }
    }

    fn joined(&mut self, first: Vec<u8>) -> Vec<u8> {
        self.length = 0;
        let mut line = first;
        for piece in self.later.drain(..).rev() {
            line.extend_from_slice(&piece);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(contents: &[&str], expected: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = contents
            .iter()
            .enumerate()
            .map(|(i, text)| {
                let path = dir.path().join(format!("{i}"));
                super::super::atomic::replace(&path, text.as_bytes()).unwrap();
                path
            })
            .collect();
        let lines: Vec<_> = Lines::new(files).map(|line| String::from_utf8(line).unwrap()).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn lines_come_newest_first_across_files() {
        check(&["a\nb\n", "", "c\nd"], &["d", "c", "b", "a"]);
        check(&["\n\nx\n\n"], &["", "x", "", ""]);
        check(&[], &[]);
    }

    #[test]
    fn a_short_answer_reads_little_of_a_long_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        super::super::atomic::replace(&path, "0123456789\n".repeat(100_000).as_bytes()).unwrap();
        let mut lines = Lines::new(vec![path]);
        assert_eq!(lines.by_ref().take(10).count(), 10);
        assert_eq!(lines.bytes_read(), CHUNK);
    }

    #[test]
    fn lines_before_a_place_leave_out_what_is_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        super::super::atomic::replace(&path, b"a\nb\nc\n").unwrap();
        let lines: Vec<_> = Lines::before(vec![(path.clone(), 4)]).collect();
        assert_eq!(lines, [b"b".to_vec(), b"a".to_vec()]);
        assert_eq!(Lines::before(vec![(path, 0)]).count(), 0);
    }

    proptest! {
        #[test]
        fn backwards_is_the_reverse_of_forwards(sizes in prop::collection::vec(0usize..70_000, 0..6)) {
            let lines: Vec<String> = sizes.iter().map(|size| "x".repeat(*size)).collect();
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let expected: Vec<&str> = lines.iter().rev().map(String::as_str).collect();
            check(&[&text], &expected);
        }
    }
}
