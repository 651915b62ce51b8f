//! Reading what is new: a byte offset per file, carried from poll to poll and, as a cursor, across processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::record::LINE_MAX;
use super::regular::open_regular;
use crate::sha256;

const CHUNK: usize = 256 * 1024;
/// One look for the end of the last whole line; nearly always it is the last byte.
const TAIL_CHUNK: u64 = 4096;

/// Bytes of a file's first line that tell it from another file of its name: it begins with a time in milliseconds.
const MARK_BYTES: usize = 512;

/// The place behind one line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The file's name below the log dir.
    pub file: String,
    /// The offset of the byte behind the line.
    pub offset: u64,
    /// A digest of the file's first line, by which a file that took its place is known; an older program says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
}

impl Cursor {
    /// Returns a place in whichever file has this name.
    pub fn at(file: impl Into<String>, offset: u64) -> Cursor {
        Cursor { file: file.into(), offset, mark: None }
    }

    /// Returns the same place, with the mark of the file that has the name now.
    pub fn marked(self, dir: &Path) -> Cursor {
        let mark = open_regular(&dir.join(&self.file)).ok().and_then(|file| mark_of(&file));
        Cursor { mark, ..self }
    }

    /// Returns whether `other` lies before this place, in files that are still the same.
    pub fn is_behind(&self, other: &Cursor) -> bool {
        (&self.file, self.offset) > (&other.file, other.offset)
    }

    /// Returns whether this place and `other` are known to be in two files of one name.
    pub fn is_in_another_file_than(&self, other: &Cursor) -> bool {
        self.file == other.file && self.mark.zip(other.mark).is_some_and(|(one, other)| one != other)
    }
}

/// One whole line, without its newline, and the place behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line's bytes.
    pub bytes: Vec<u8>,
    /// Where to go on after it.
    pub cursor: Cursor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    inode: u64,
    offset: u64,
    /// The file's mark, once a line of it has been read.
    mark: Option<u32>,
}

impl Place {
    /// Returns whether the file that has the name now is another one, or shorter.
    fn is_lost(self, file: &File, meta: &Metadata) -> bool {
        self.inode != meta.ino()
            || meta.len() < self.offset
            // Inodes are used again. A file that has not grown is not looked at.
            || (meta.len() > self.offset && self.mark.is_some_and(|mark| mark_of(file) != Some(mark)))
    }
}

/// What a follower has read of each file: a smaller or replaced file starts again at 0, an unseen one at 0, a
/// missing one keeps its place.
#[derive(Debug, Clone, Default)]
pub struct Follower {
    places: BTreeMap<String, Place>,
    bytes_read: u64,
}

impl Follower {
    /// Returns a follower that starts with the first byte of every file.
    pub fn from_start() -> Follower {
        Follower::default()
    }

    /// Returns a follower that starts behind the last whole line of every file there is.
    pub fn from_end(files: &[PathBuf]) -> Follower {
        let mut follower = Follower::default();
        for path in files {
            if let (Some(name), Ok(file)) = (name_of(path), open_regular(path))
                && let Ok(meta) = file.metadata()
            {
                let offset = last_line_end(&file, meta.len()).unwrap_or_default();
                follower.places.insert(name, Place { inode: meta.ino(), offset, mark: mark_of(&file) });
            }
        }
        follower
    }

    /// Returns a follower that goes on behind `cursor`: earlier files are done, later ones new.
    pub fn from_cursor(files: &[PathBuf], cursor: &Cursor) -> Follower {
        let mut follower = Follower::default();
        for path in files {
            let (Some(name), Ok(meta)) = (name_of(path), path.metadata()) else { continue };
            let (offset, mark) = match name.cmp(&cursor.file) {
                std::cmp::Ordering::Less => (meta.len(), None),
                std::cmp::Ordering::Equal => (cursor.offset, cursor.mark),
                std::cmp::Ordering::Greater => continue,
            };
            follower.places.insert(name, Place { inode: meta.ino(), offset, mark });
        }
        follower
    }

    /// Returns the place reached in the newest file; `None` when no file has been seen.
    pub fn newest(&self) -> Option<Cursor> {
        let (file, place) = self.places.last_key_value()?;
        Some(Cursor { file: file.clone(), offset: place.offset, mark: place.mark })
    }

    /// Sets the place in one file, as after a replay that stopped there.
    pub fn set(&mut self, path: &Path, offset: u64) {
        if let (Some(name), Ok(meta)) = (name_of(path), path.metadata()) {
            self.places.insert(name, Place { inode: meta.ino(), offset, mark: None });
        }
    }

    /// Returns how far each of `files` has been read.
    pub fn places(&self, files: &[PathBuf]) -> Vec<(PathBuf, u64)> {
        files
            .iter()
            .map(|path| {
                let place = name_of(path).and_then(|name| self.places.get(&name));
                (path.clone(), place.map_or(0, |place| place.offset))
            })
            .collect()
    }

    /// Forgets the places in files that are not the same any more (replaced, shorter, or gone and the newest one with
    /// them), so that what took their place is read from its beginning. Returns whether there were any: what was made
    /// of their lines is then no longer what the log says.
    pub fn forget_lost(&mut self, files: &[PathBuf]) -> bool {
        let known = self.places.len();
        let names: BTreeSet<String> = files.iter().filter_map(|path| name_of(path)).collect();
        if self.places.keys().next_back().is_some_and(|newest| !names.contains(newest)) {
            self.places.retain(|name, _| names.contains(name));
        }
        for path in files {
            let Some((name, place)) = name_of(path).and_then(|name| self.places.get_key_value(&name)) else {
                continue;
            };
            let file = open_regular(path).and_then(|file| file.metadata().map(|meta| (file, meta)));
            if file.is_ok_and(|(file, meta)| place.is_lost(&file, &meta)) {
                let name = name.clone();
                self.places.remove(&name);
            }
        }
        self.places.len() < known
    }

    /// Returns how many bytes have been read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Hands every new whole line of `files` (in their order) to `each`; a torn last line waits for its end.
    ///
    /// # Errors
    /// When an existing file cannot be read; what was handed out stays handed out.
    pub fn poll(&mut self, files: &[PathBuf], mut each: impl FnMut(Line)) -> io::Result<()> {
        for path in files {
            let Some(name) = name_of(path) else { continue };
            let file = match open_regular(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let meta = file.metadata()?;
            let known = self.places.get(&name).copied().filter(|known| !known.is_lost(&file, &meta));
            let mut place = known.unwrap_or(Place { inode: meta.ino(), offset: 0, mark: None });
            let read = self.read_from(&file, &name, &mut place, &mut each);
            self.places.insert(name, place);
            read?;
        }
        Ok(())
    }

    fn read_from(
        &mut self,
        file: &File,
        name: &str,
        place: &mut Place,
        each: &mut impl FnMut(Line),
    ) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        let mut bytes: Vec<u8> = Vec::new();
        // How long the line is so far; its bytes are kept up to what a reader looks at.
        let mut length = 0;
        loop {
            let count = file.read_at(&mut chunk, place.offset + length)?;
            if count == 0 {
                return Ok(());
            }
            self.bytes_read += count as u64;
            for piece in chunk.get(..count).unwrap_or_default().split_inclusive(|&byte| byte == b'\n') {
                length += piece.len() as u64;
                let text = piece.strip_suffix(b"\n").unwrap_or(piece);
                if bytes.len() <= LINE_MAX {
                    bytes.extend_from_slice(text);
                }
                if text.len() < piece.len() {
                    place.offset += std::mem::take(&mut length);
                    place.mark = place.mark.or_else(|| mark_of(file));
                    let cursor = Cursor { file: name.to_owned(), offset: place.offset, mark: place.mark };
                    each(Line { bytes: std::mem::take(&mut bytes), cursor });
                }
            }
        }
    }
}

/// Hands the whole lines within a range of a file to `each`; the range is read at once, so keep it small.
///
/// # Errors
/// When the file cannot be read.
pub fn lines_between(path: &Path, range: Range<u64>, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut file = open_regular(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    file.take(range.end.saturating_sub(range.start)).read_to_end(&mut bytes)?;
    for line in bytes.split_inclusive(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\n")) {
        each(line);
    }
    Ok(())
}

fn name_of(path: &Path) -> Option<String> {
    path.file_name().and_then(|name| name.to_str()).map(str::to_owned)
}

/// Returns a digest of a file's first line; `None` while it has none.
fn mark_of(file: &File) -> Option<u32> {
    let mut bytes = [0; MARK_BYTES];
    let count = file.read_at(&mut bytes, 0).ok()?;
    let read = bytes.get(..count)?;
    let end = read.iter().position(|&byte| byte == b'\n').or((count == MARK_BYTES).then_some(count))?;
    let digest = sha256::of(read.get(..end)?);
    u32::from_str_radix(digest.get(..8)?, 16).ok()
}

/// Returns the offset behind the last newline; 0 when the last megabyte has none.
fn last_line_end(file: &File, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 && length - end < LINE_MAX as u64 {
        let size = end.min(TAIL_CHUNK);
        let mut tail = vec![0; usize::try_from(size).unwrap_or_default()];
        file.read_exact_at(&mut tail, end - size)?;
        if let Some(at) = tail.iter().rposition(|&byte| byte == b'\n') {
            return Ok(end - size + at as u64 + 1);
        }
        end -= size;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::regular::tests::with_a_pipe_at;

    #[test]
    fn a_pipe_in_the_place_of_a_log_holds_no_reader_up() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("events-2026-11.jsonl");
        let files = vec![pipe.clone()];
        let read = with_a_pipe_at(&pipe, move || {
            let mut follower = Follower::from_end(&files);
            let polled = follower.poll(&files, |_| {}).is_err();
            let backwards = super::super::backward::Lines::new(files.clone()).count();
            let appended = super::super::event_log::append_line(files.first().unwrap(), b"{}\n").is_err();
            (polled, backwards, appended)
        });
        assert_eq!(read, Some((true, 0, true)));
    }
    use crate::store::event_log::append_line;

    fn poll(follower: &mut Follower, files: &[PathBuf]) -> Vec<String> {
        let mut lines = Vec::new();
        follower.poll(files, |line| lines.push(String::from_utf8(line.bytes).unwrap())).unwrap();
        lines
    }

    #[test]
    fn a_poll_returns_whole_new_lines_once() {
        let dir = tempfile::tempdir().unwrap();
        let files = vec![dir.path().join("events-2026-01.jsonl"), dir.path().join("events-2026-02.jsonl")];
        let mut follower = Follower::from_start();
        assert!(poll(&mut follower, &files).is_empty());
        append_line(&files[0], b"a\nb\nto").unwrap();
        assert_eq!(poll(&mut follower, &files), ["a", "b"]);
        std::io::Write::write_all(&mut File::options().append(true).open(&files[0]).unwrap(), b"rn\n")
            .unwrap();
        append_line(&files[1], b"c\n").unwrap();
        assert_eq!(poll(&mut follower, &files), ["torn", "c"]);
        assert!(poll(&mut follower, &files).is_empty());
    }

    #[test]
    fn truncated_and_replaced_files_start_again() {
        let dir = tempfile::tempdir().unwrap();
        let files = vec![dir.path().join("events-2026-01.jsonl")];
        append_line(&files[0], b"a\nb\n").unwrap();
        let mut follower = Follower::from_end(&files);
        assert!(poll(&mut follower, &files).is_empty());
        File::options().write(true).open(&files[0]).unwrap().set_len(0).unwrap();
        append_line(&files[0], b"c\n").unwrap();
        assert_eq!(poll(&mut follower, &files), ["c"]);
        crate::store::atomic::replace(&files[0], b"longer than before\n").unwrap();
        assert_eq!(poll(&mut follower, &files), ["longer than before"]);
    }

    #[test]
    fn a_replaced_shortened_or_vanished_file_is_noticed_and_an_old_month_may_go() {
        let dir = tempfile::tempdir().unwrap();
        let files = vec![dir.path().join("events-2026-01.jsonl"), dir.path().join("events-2026-02.jsonl")];
        append_line(&files[0], b"a\n").unwrap();
        append_line(&files[1], b"b\n").unwrap();
        let new = Follower::from_end(&files);
        assert_eq!(new.places(&files), [(files[0].clone(), 2), (files[1].clone(), 2)]);
        let mut follower = new.clone();
        assert!(!follower.forget_lost(&files));
        assert!(!follower.forget_lost(&files[1..]));
        assert!(follower.forget_lost(&files[..1]));
        assert_eq!(follower.places(&files), [(files[0].clone(), 2), (files[1].clone(), 0)]);
        let mut follower = new.clone();
        assert!(follower.forget_lost(&[]));
        assert!(!follower.forget_lost(&[]));
        File::options().write(true).open(&files[1]).unwrap().set_len(0).unwrap();
        let mut follower = new;
        assert!(follower.forget_lost(&files));
        assert!(!follower.forget_lost(&files));
        assert_eq!(follower.places(&files), [(files[0].clone(), 2), (files[1].clone(), 0)]);
    }

    #[test]
    fn a_longer_file_in_the_same_inode_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let files = vec![dir.path().join("events-2026-01.jsonl")];
        append_line(&files[0], b"a\n").unwrap();
        let mut follower = Follower::from_end(&files);
        let cursor = follower.newest().unwrap();
        let mut from_start = Follower::from_start();
        assert_eq!(poll(&mut from_start, &files), ["a"]);
        assert_eq!(from_start.newest(), Some(cursor.clone()), "one mark, however it was come by");
        append_line(&files[0], b"b\n").unwrap();
        let file = File::options().write(true).open(&files[0]).unwrap();
        file.write_all_at(b"c\nd\ne\n", 0).unwrap();
        assert!(follower.clone().forget_lost(&files));
        assert_eq!(poll(&mut follower, &files), ["c", "d", "e"]);
        let here = Cursor::at("events-2026-01.jsonl", 2).marked(dir.path());
        assert!(here.is_in_another_file_than(&cursor) && !here.is_in_another_file_than(&here));
        assert!(!here.is_in_another_file_than(&Cursor::at("events-2026-01.jsonl", 2)), "nobody knows");
        assert!(!follower.newest().unwrap().is_in_another_file_than(&here));
        assert_eq!(poll(&mut Follower::from_cursor(&files, &here), &files), ["d", "e"]);
        assert_eq!(poll(&mut Follower::from_cursor(&files, &cursor), &files), ["c", "d", "e"]);
    }

    #[test]
    fn programs_of_either_age_read_the_cursors_of_the_other() {
        let old = r#"{"file":"e","offset":7}"#;
        assert_eq!(serde_json::from_str::<Cursor>(old).unwrap(), Cursor::at("e", 7));
        assert_eq!(serde_json::to_string(&Cursor::at("e", 7)).unwrap(), old);
        let new = serde_json::to_string(&Cursor { mark: Some(5), ..Cursor::at("e", 7) }).unwrap();
        assert_eq!(new, r#"{"file":"e","offset":7,"mark":5}"#);
    }

    #[test]
    fn a_cursor_goes_on_where_another_process_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let files = vec![dir.path().join("events-2026-01.jsonl"), dir.path().join("events-2026-02.jsonl")];
        append_line(&files[0], b"a\n").unwrap();
        append_line(&files[1], b"b\nc\n").unwrap();
        let mut cursors = Vec::new();
        Follower::from_start().poll(&files, |line| cursors.push(line.cursor)).unwrap();
        let mut follower = Follower::from_cursor(&files, &cursors[1]);
        assert_eq!(poll(&mut follower, &files), ["c"]);
    }

    #[test]
    fn an_endless_line_is_cut_and_the_next_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let files = vec![dir.path().join("events-2026-01.jsonl")];
        append_line(&files[0], &[vec![b'x'; 3 * LINE_MAX], b"\nnext\n".to_vec()].concat()).unwrap();
        let lines = poll(&mut Follower::from_start(), &files);
        assert!(lines[0].len() <= LINE_MAX + CHUNK);
        assert_eq!(lines[1], "next");
    }
}
