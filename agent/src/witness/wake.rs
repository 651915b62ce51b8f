//! Waking when something is written to the log dir: inotify for whatever happens in it, the doorbell where that is not
//! to be had. A log dir that is not there, or was removed, is looked for once a second.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::process::wait::{self, Interest};
use crate::store::doorbell::Doorbell;
use crate::store::layout::Layout;

/// How long a log dir that cannot be watched goes without a look.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One listener of a log dir.
#[derive(Debug)]
pub struct Wake {
    layout: Layout,
    inotify: Option<Inotify>,
    doorbell: Option<Doorbell>,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Something may have been written.
    Written,
    /// The deadline passed.
    Deadline,
    /// The caller's descriptor of this index is ready.
    Other(usize),
}

impl Wake {
    /// Returns a listener; what cannot be watched yet is tried again at every wait.
    pub fn new(layout: Layout) -> Wake {
        let mut wake = Wake { layout, inotify: None, doorbell: None };
        wake.watch();
        wake
    }

    /// Waits until something is written, one of `others` is ready, or the deadline. What was written before the call
    /// and after the previous one counts.
    ///
    /// # Errors
    /// What `poll` returns.
    pub fn wait(&mut self, others: &[(BorrowedFd<'_>, Interest)], deadline: Instant) -> io::Result<Woken> {
        self.watch();
        let own = [self.inotify.as_ref().map(AsFd::as_fd), self.doorbell.as_ref().map(AsFd::as_fd)];
        let own: Vec<_> = own.into_iter().flatten().map(|fd| (fd, Interest::Read)).collect();
        let look = if own.is_empty() { deadline.min(Instant::now() + LOOK_EVERY) } else { deadline };
        let all: Vec<_> = others.iter().copied().chain(own).collect();
        let ready = wait::wait_for(&all, Some(look))?;
        if let Some(index) = ready.iter().copied().find(|index| *index < others.len()) {
            return Ok(Woken::Other(index));
        }
        if ready.is_empty() {
            return Ok(if look < deadline { Woken::Written } else { Woken::Deadline });
        }
        self.drain();
        Ok(Woken::Written)
    }

    fn watch(&mut self) {
        if self.inotify.is_some() || self.doorbell.is_some() || !self.layout.root().is_dir() {
            return;
        }
        self.inotify = self.inotify().ok();
        if self.inotify.is_none() {
            // Without either the log dir is looked at once a second.
            self.doorbell = Doorbell::listen(&self.layout.notify_dir()).ok();
        }
    }

    fn inotify(&self) -> nix::Result<Inotify> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let interest = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        inotify.add_watch(self.layout.root(), interest)?;
        Ok(inotify)
    }

    fn drain(&mut self) {
        if let Some(doorbell) = &mut self.doorbell {
            doorbell.drain();
        }
        let gone = AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
        let mut lost = false;
        while let Some(events) = self.inotify.as_ref().and_then(|inotify| inotify.read_events().ok()) {
            lost |= events.iter().any(|event| event.mask.intersects(gone));
        }
        if lost {
            self.inotify = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::event_log::append_line;

    fn within_20_s() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn writing_wakes_also_after_the_folder_was_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("logs"));
        let mut wake = Wake::new(layout.clone());
        std::fs::create_dir(layout.root()).unwrap();
        for _ in 0..2 {
            let deadline = within_20_s();
            wake.wait(&[], Instant::now()).unwrap();
            append_line(&layout.root().join("events-2026-01.jsonl"), b"x\n").unwrap();
            assert_eq!(wake.wait(&[], deadline).unwrap(), Woken::Written);
            std::fs::remove_dir_all(layout.root()).unwrap();
            assert_eq!(wake.wait(&[], deadline).unwrap(), Woken::Written);
            std::fs::create_dir(layout.root()).unwrap();
        }
    }

    #[test]
    fn a_deadline_and_another_descriptor_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let mut wake = Wake::new(Layout::new(dir.path()));
        assert_eq!(wake.wait(&[], Instant::now()).unwrap(), Woken::Deadline);
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        let others = [(reader.as_fd(), Interest::Read)];
        assert_eq!(wake.wait(&others, within_20_s()).unwrap(), Woken::Other(0));
    }
}
