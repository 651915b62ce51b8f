//! The doorbell: a FIFO per listener, one byte per event, so that a sleeping reader wakes in milliseconds.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::stat::Mode;

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// How often a listener makes its FIFO again when a writer takes the fresh one for a stale one.
const ATTEMPTS: usize = 3;

/// Wakes every listener below `dir`. Never fails: a reader also looks by itself. Stale FIFOs are removed.
pub fn ring(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "fifo"))
    {
        let opened = OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(&path);
        match opened {
            Ok(mut fifo) => {
                // A full pipe means the listener has enough to wake for.
                let _ = fifo.write(b"!");
            }
            Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => {
                // Nobody listens any more; another writer may have removed it already.
                let _ = fs::remove_file(&path);
            }
            Err(_) => {}
        }
    }
}

/// One listener's FIFO; removed on drop.
#[derive(Debug)]
pub struct Doorbell {
    path: PathBuf,
    fifo: File,
}

impl Doorbell {
    /// Makes the folder and a FIFO in it, open for reading.
    ///
    /// # Errors
    /// When it cannot be made; the caller then just sleeps.
    pub fn listen(dir: &Path) -> io::Result<Doorbell> {
        super::atomic::make_folder(dir)?;
        let mut failure = io::Error::other("no attempt was made");
        for _ in 0..ATTEMPTS {
            match Doorbell::make(dir) {
                Ok(doorbell) => return Ok(doorbell),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Empties the FIFO; the bytes carry no meaning.
    pub fn drain(&mut self) {
        let mut bytes = [0; 512];
        while matches!(self.fifo.read(&mut bytes), Ok(count) if count > 0) {}
    }

    fn make(dir: &Path) -> io::Result<Doorbell> {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{}-{serial}.fifo", std::process::id()));
        nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600))?;
        // Read-write, so that the last writer's leaving is no end of file.
        let fifo =
            OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(&path)?;
        Ok(Doorbell { path, fifo })
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fifo.as_fd()
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_reaches_the_listener_and_removes_the_stale() {
        let dir = tempfile::tempdir().unwrap();
        let notify = dir.path().join(".notify");
        let mut bell = Doorbell::listen(&notify).unwrap();
        nix::unistd::mkfifo(&notify.join("1-1.fifo"), Mode::from_bits_truncate(0o600)).unwrap();
        ring(&notify);
        let mut byte = [0; 1];
        assert_eq!(bell.fifo.read(&mut byte).unwrap(), 1);
        bell.drain();
        assert!(!notify.join("1-1.fifo").exists());
        drop(bell);
        assert_eq!(fs::read_dir(&notify).unwrap().count(), 0);
    }
}
