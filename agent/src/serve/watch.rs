//! Noticing at once that a file appears: its folder is watched during a pause, and only then.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A watched folder.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Inotify,
    name: OsString,
}

impl Watch {
    /// Watches the folder of a file.
    ///
    /// # Errors
    /// When there is no such folder, or no more watches; the caller then looks from time to time.
    pub(super) fn appearance_of(path: &Path) -> io::Result<Watch> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        inotify.add_watch(dir, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO)?;
        Ok(Watch { inotify, name: name.to_owned() })
    }

    /// Takes what has happened; returns whether it concerned the file, or may have.
    pub(super) fn drain(&self) -> bool {
        let mut concerned = false;
        // An overflow comes without a name and may hide the file.
        while let Ok(events) = self.inotify.read_events() {
            concerned |= events.iter().any(|event| event.name.as_ref().is_none_or(|name| *name == self.name));
        }
        concerned
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_file_concerns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("STOP");
        let watch = Watch::appearance_of(&path).unwrap();
        assert!(!watch.drain());
        std::fs::File::create(dir.path().join("other")).unwrap();
        assert!(!watch.drain());
        std::fs::File::create(&path).unwrap();
        assert!(watch.drain());
        std::fs::rename(dir.path().join("other"), &path).unwrap();
        assert!(watch.drain());
        assert!(Watch::appearance_of(Path::new("/no/such/folder/STOP")).is_err());
    }
}
