//! Waiting for the end of a process that is not our child.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::identity::Identity;
use super::{pidfd, wait};

/// How often a process without a descriptor is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits until a process is gone or the deadline has passed, and returns whether it is gone. One that has ended but
/// was not reaped counts as gone.
///
/// # Errors
/// What opening its descriptor or `poll` returned.
pub fn wait(of: Identity, deadline: Instant) -> io::Result<bool> {
    let fd = match pidfd::open(of.pid) {
        Ok(fd) => Some(fd),
        Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => return Ok(true),
        // An old kernel or a filter: looking has to do.
        Err(_) => None,
    };
    // Only now: from here on the descriptor cannot mean another process.
    while !of.is_gone() {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        match &fd {
            Some(fd) => return Ok(!wait::wait_any(&[fd.as_fd()], Some(deadline))?.is_empty()),
            None => wait::wait_until(deadline.min(Instant::now() + LOOK_EVERY))?,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn tells_whether_a_process_ended_before_the_deadline() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let identity = Identity::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(!wait(identity, Instant::now() + Duration::from_millis(10)).unwrap());
        child.kill().unwrap();
        assert!(wait(identity, Instant::now() + Duration::from_secs(20)).unwrap());
        child.wait().unwrap();
        assert!(wait(identity, Instant::now()).unwrap());
    }
}
