//! Opening a file whose place somebody else may have taken: only a regular one is read, and nothing is waited for. A
//! pipe in its place would hold its reader up for good.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Whether a link in a file's place leads to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It does: a person may have put it there.
    Follow,
    /// It does not: nobody but us puts anything there.
    Refuse,
}

/// Opens a regular file for reading, through a link if there is one.
///
/// # Errors
/// When it cannot be opened, and at once when it is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open(path, Link::Follow)
}

/// Opens a regular file for reading.
///
/// # Errors
/// As [`open_regular`], and where links are refused when the last part of the path is one.
pub fn open(path: &Path, link: Link) -> io::Result<File> {
    let flags = match link {
        Link::Follow => 0,
        Link::Refuse => libc::O_NOFOLLOW,
    };
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | flags).open(path)?;
    insist(file)
}

/// Returns a file that was opened without blocking, if it is a regular one.
///
/// # Errors
/// When it is not, or cannot be looked at.
pub fn insist(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// Reads a regular file whole, through a link if there is one.
///
/// # Errors
/// As [`open_regular`]; `FileTooLarge` when it has more than `most` bytes, of which no more are read.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_all(open_regular(path)?, most)
}

/// Reads an open file whole.
///
/// # Errors
/// `FileTooLarge` when it has more than `most` bytes, of which no more are read.
pub fn read_all(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let text = match most >> 20 {
            0 => format!("larger than {} KiB", most >> 10),
            mebibytes => format!("larger than {mebibytes} MiB"),
        };
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::mpsc;
    use std::time::Duration;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;
    use crate::store::atomic;

    /// Makes a pipe at `path`, lets `read` run on a thread of its own and returns what it said before the deadline;
    /// `None` when the pipe held it up.
    pub(crate) fn with_a_pipe_at<T: Send + 'static>(
        path: &Path,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        mkfifo(path, Mode::from_bits_truncate(0o600)).unwrap();
        let (said, heard) = mpsc::channel();
        std::thread::spawn(move || said.send(read()));
        heard.recv_timeout(Duration::from_secs(30)).ok()
    }

    #[test]
    fn a_pipe_is_refused_at_once_and_a_link_only_where_it_shall_be() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let opened = with_a_pipe_at(&pipe, {
            let pipe = pipe.clone();
            move || [Link::Follow, Link::Refuse].map(|link| open(&pipe, link).is_ok())
        });
        assert_eq!(opened, Some([false, false]));
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        atomic::replace(&file, b"text").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(read(&link, 4).unwrap(), b"text");
        assert!(open(&link, Link::Refuse).is_err());
        assert!(open_regular(dir.path()).is_err());
    }

    #[test]
    fn what_is_longer_is_refused_and_not_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        File::create(&path).unwrap().set_len(1 << 30).unwrap();
        let refused = read(&path, 16 << 20).unwrap_err();
        assert_eq!(
            (refused.kind(), refused.to_string().as_str()),
            (io::ErrorKind::FileTooLarge, "larger than 16 MiB")
        );
    }
}
