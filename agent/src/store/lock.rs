//! Single instance is a held `flock`, never the test of a process id.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// A lock held until it is dropped or the process ends; never inherited by a child.
#[derive(Debug)]
pub struct Lock {
    _held: Flock<File>,
}

impl Lock {
    /// Takes the lock without waiting; `None` when somebody else holds it. The file is created if missing (0644)
    /// and never deleted.
    ///
    /// # Errors
    /// When the file cannot be opened or locked for another reason than being held.
    pub fn try_take(path: &Path) -> io::Result<Option<Lock>> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644).open(path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Some(Lock { _held: held })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(errno.into()),
        }
    }
}

/// A sign that somebody of a kind is here, shared by all of them; gone with the last of their processes.
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
        let place = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let own = self.held.metadata().map(place).ok();
        own.is_some() && own == std::fs::metadata(path).map(place).ok()
    }

    /// Returns whether anybody has put the sign up. Nothing is created.
    pub fn is_announced(path: &Path) -> bool {
        let Ok(file) = File::open(path) else { return false };
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
        std::fs::remove_file(&path).unwrap();
        assert!(!second.stands(&path));
        let third = Presence::announce(&path).unwrap();
        drop(third);
        assert!(!Presence::is_announced(&path));
    }

    #[test]
    fn a_second_taker_is_told_and_the_lock_ends_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serve.lock");
        let first = Lock::try_take(&path).unwrap();
        assert!(first.is_some());
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(first);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }
}
