//! Single instance is a held `flock`, never the test of a process id.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, fcntl};

/// A lock held until it is dropped or the process ends; never inherited by a child.
#[derive(Debug)]
pub struct Lock {
    held: Flock<File>,
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
            Ok(held) => Ok(Some(Lock { held })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    /// Goes on with a lock that another program of this process took and kept open; `None` when the descriptor is of
    /// another file, or when the lock was lost.
    ///
    /// # Errors
    /// When either file cannot be looked at.
    pub fn adopt(descriptor: OwnedFd, path: &Path) -> io::Result<Option<Lock>> {
        let file = File::from(descriptor);
        let (inherited, named) = (file.metadata()?, path.metadata()?);
        if (inherited.dev(), inherited.ino()) != (named.dev(), named.ino()) {
            return Ok(None);
        }
        // The open file holds the lock already, so this only fails when somebody else got it.
        Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).ok().map(|held| Lock { held }))
    }

    /// Keeps the lock open over an exec of this process and returns the descriptor's number for [`Lock::adopt`].
    ///
    /// # Errors
    /// What fcntl returned.
    pub fn keep_over_exec(&self) -> io::Result<RawFd> {
        fcntl(&*self.held, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(self.held.as_raw_fd())
    }

    /// Undoes [`Lock::keep_over_exec`] after an exec that failed.
    ///
    /// # Errors
    /// What fcntl returned.
    pub fn close_on_exec(&self) -> io::Result<()> {
        fcntl(&*self.held, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    #[test]
    fn an_inherited_lock_stays_held_without_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serve.lock");
        let first = Lock::try_take(&path).unwrap().unwrap();
        let copy = crate::process::inherited::adopt(first.keep_over_exec().unwrap()).unwrap();
        let second = Lock::adopt(copy, &path).unwrap().unwrap();
        // An exec runs no destructor.
        std::mem::forget(first);
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(second);
        assert!(Lock::try_take(&path).unwrap().is_some());
        let other = File::open("/dev/null").unwrap().into();
        assert!(Lock::adopt(other, &path).unwrap().is_none());
    }
}
