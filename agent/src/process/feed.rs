//! Bytes on their way into a child's stdin. Never blocks: a child that does not read costs nothing but a full pipe.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// The writing end of a child's stdin with what is still to be written; closed as soon as that is nothing.
#[derive(Debug)]
pub struct Feed {
    pipe: Option<PipeWriter>,
    bytes: Vec<u8>,
    written: usize,
}

impl Feed {
    /// Returns the child's end and ours; nothing is written yet.
    pub(super) fn new(bytes: Vec<u8>) -> io::Result<(PipeReader, Feed)> {
        let (reader, writer) = io::pipe()?;
        // Only our end: the child must find an ordinary, blocking pipe.
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((reader, Feed { pipe: Some(writer), bytes, written: 0 }))
    }

    /// Returns the descriptor to wait on for room, while there is something to write.
    pub fn pending(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Writes what fits now. A child that closed its stdin ends the feed: it did not want the rest.
    pub fn push(&mut self) {
        while let Some(pipe) = &mut self.pipe {
            let rest = self.bytes.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                self.end();
                return;
            }
            match pipe.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.end(),
            }
        }
    }

    fn end(&mut self) {
        self.pipe = None;
        self.bytes = Vec::new();
        self.written = 0;
    }
}
