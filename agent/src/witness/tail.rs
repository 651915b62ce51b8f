//! Handing on lines of the event log as they come, until the reader goes away or a signal ends it.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::wake::{Wake, Woken};
use crate::output;
use crate::process::signals::{SignalInput, Signals};
use crate::process::wait::Interest;
use crate::store::follow::{Follower, Line};
use crate::store::layout::Layout;

/// Bytes collected before they are printed, while there is more to read.
const BATCH: usize = 64 * 1024;
/// A look at the log though nothing woke us.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Lines on their way to stdout. After a failed write nothing more is printed.
#[derive(Debug, Default)]
pub struct Outlet {
    pending: Vec<u8>,
    failure: Option<io::Error>,
}

impl Outlet {
    /// Adds a line, without its newline.
    pub fn line(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.pending.push(b'\n');
        if self.pending.len() >= BATCH {
            self.write();
        }
    }

    /// Prints what is pending.
    ///
    /// # Errors
    /// The first failed write, once.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write();
        self.failure.take().map_or(Ok(()), Err)
    }

    fn write(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if self.failure.is_none() && !pending.is_empty() {
            self.failure = output::print_bytes(&pending).err();
        }
    }
}

/// Hands every new line to `each` until stdout goes away or SIGINT or SIGTERM comes.
///
/// # Errors
/// When an event file cannot be read, or printing fails.
pub fn follow(
    layout: &Layout,
    mut follower: Follower,
    mut each: impl FnMut(&Line, &mut Outlet),
) -> io::Result<()> {
    let signals = Signals::block(&[SignalInput::Term, SignalInput::Int])?;
    let mut wake = Wake::new(layout.clone());
    let mut outlet = Outlet::default();
    let stdout = io::stdout();
    loop {
        let read = follower.poll(&layout.events_files(), |line| each(&line, &mut outlet));
        outlet.flush()?;
        read?;
        let others = [(signals.as_fd(), Interest::Read), (stdout.as_fd(), Interest::Hangup)];
        match wake.wait(&others, Instant::now() + LOOK_EVERY)? {
            Woken::Other(_) => return Ok(()),
            Woken::Written | Woken::Deadline => {}
        }
    }
}
