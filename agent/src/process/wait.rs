//! The one way to wait: `poll` over descriptors with a deadline.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

/// What a descriptor is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, or the end.
    Read,
    /// Room to write, or the end.
    Write,
    /// Only the end: the other side has gone.
    Hangup,
}

/// Waits until one of `fds` is readable (or at its end) and returns the indices of those that are; empty when the
/// deadline passed first. `None` waits for ever: only for a caller whose descriptors include its own way out.
///
/// # Errors
/// What `poll` returns; an interrupted call goes on.
pub fn wait_any(fds: &[BorrowedFd<'_>], deadline: Option<Instant>) -> io::Result<Vec<usize>> {
    let interests: Vec<_> = fds.iter().map(|&fd| (fd, Interest::Read)).collect();
    wait_for(&interests, deadline)
}

/// Waits like [`wait_any`], for reading or writing each.
///
/// # Errors
/// What `poll` returns; an interrupted call goes on.
pub fn wait_for(fds: &[(BorrowedFd<'_>, Interest)], deadline: Option<Instant>) -> io::Result<Vec<usize>> {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|&(fd, interest)| {
            let events = match interest {
                Interest::Read => PollFlags::POLLIN,
                Interest::Write => PollFlags::POLLOUT,
                Interest::Hangup => PollFlags::empty(),
            };
            PollFd::new(fd, events)
        })
        .collect();
    loop {
        let left = deadline.map(|at| TimeSpec::from_duration(left_until(at)));
        match ppoll(&mut polled, left, None) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let ready = |fd: &PollFd<'_>| fd.revents().is_none_or(|events| !events.is_empty());
    Ok(polled.iter().enumerate().filter(|(_, fd)| ready(fd)).map(|(index, _)| index).collect())
}

/// Waits until `deadline` whatever happens: for a caller with nothing to listen to.
///
/// # Errors
/// What `poll` returns.
pub fn wait_until(deadline: Instant) -> io::Result<()> {
    wait_for(&[], Some(deadline)).map(|_| ())
}

/// Returns the instant a duration after another. The operator may configure ages; an instant cannot hold them.
pub fn after(start: Instant, duration: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);
    start + duration.min(LONGEST)
}

fn left_until(at: Instant) -> Duration {
    at.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn tells_which_descriptor_is_ready_and_when_the_deadline_passed() {
        let (quiet, _keep) = io::pipe().unwrap();
        let (loud, mut writer) = io::pipe().unwrap();
        let soon = Instant::now() + Duration::from_millis(5);
        assert!(wait_any(&[quiet.as_fd(), loud.as_fd()], Some(soon)).unwrap().is_empty());
        assert!(Instant::now() >= soon);
        writer.write_all(b"x").unwrap();
        assert_eq!(wait_any(&[quiet.as_fd(), loud.as_fd()], None).unwrap(), [1]);
        let both = [(loud.as_fd(), Interest::Read), (writer.as_fd(), Interest::Write)];
        assert_eq!(wait_for(&both, None).unwrap(), [0, 1]);
    }

    #[test]
    fn a_reader_that_goes_away_is_noticed_without_writing() {
        let (reader, writer) = io::pipe().unwrap();
        let hangup = [(writer.as_fd(), Interest::Hangup)];
        let soon = Instant::now() + Duration::from_millis(5);
        assert!(wait_for(&hangup, Some(soon)).unwrap().is_empty());
        drop(reader);
        assert_eq!(wait_for(&hangup, None).unwrap(), [0]);
    }

    #[test]
    fn an_age_is_cut_to_what_an_instant_can_hold() {
        let now = Instant::now();
        assert!(after(now, Duration::MAX) > now + Duration::from_secs(365 * 24 * 3600));
        assert_eq!(after(now, Duration::from_secs(3)), now + Duration::from_secs(3));
    }

    #[test]
    fn the_end_of_a_pipe_counts_as_readable() {
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        assert_eq!(wait_any(&[reader.as_fd()], None).unwrap(), [0]);
    }
}
