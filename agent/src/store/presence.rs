//! A sign in the log dir that somebody of a kind is here: a shared `flock`, gone with the last of their processes.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::regular::open_regular;

/// A sign that is up until it is dropped.
#[derive(Debug)]
pub struct Presence {
    held: Flock<File>,
}

impl Presence {
    /// Puts the sign up. A look of [`Presence::is_announced`] in the same instant is waited for.
    ///
    /// # Errors
    /// When the file cannot be opened or locked.
    pub fn announce(path: &Path) -> io::Result<Presence> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644).open(path)?;
        let held = Flock::lock(file, FlockArg::LockShared).map_err(|(_, errno)| errno)?;
        Ok(Presence { held })
    }

    /// Returns whether the sign still stands at `path`: the file may have been removed with its folder.
    pub fn stands(&self, path: &Path) -> bool {
        let place = |meta: Metadata| (meta.dev(), meta.ino());
        let own = self.held.metadata().map(place).ok();
        own.is_some() && own == fs::metadata(path).map(place).ok()
    }

    /// Returns whether anybody has put the sign up. Nothing is created.
    pub fn is_announced(path: &Path) -> bool {
        let Ok(file) = open_regular(path) else { return false };
        matches!(Flock::lock(file, FlockArg::LockExclusiveNonblock), Err((_, Errno::EWOULDBLOCK)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presence_is_shared_and_seen_until_the_last_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("monitor.lock");
        assert!(!Presence::is_announced(&path));
        let first = Presence::announce(&path).unwrap();
        let second = Presence::announce(&path).unwrap();
        assert!(first.stands(&path));
        drop(first);
        assert!(Presence::is_announced(&path));
        fs::remove_file(&path).unwrap();
        assert!(!second.stands(&path));
        let third = Presence::announce(&path).unwrap();
        drop(third);
        assert!(!Presence::is_announced(&path));
    }
}
