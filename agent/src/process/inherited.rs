//! What outlives the program that had it: a descriptor that the next program of this process goes on with, and the
//! variables that are meant for one process and none of its children.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The variable with the number of the inherited lock's descriptor.
pub const LOCK_VARIABLE: &str = "AGENT_RUNNER_SERVE_LOCK_FD";

/// The variable with what the next program of this process gets, as JSON.
pub const STATE_VARIABLE: &str = "AGENT_RUNNER_SERVE_HANDOVER";

/// The service manager's channels; no child may talk to our service manager.
pub const NOTIFY_VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// Takes over a descriptor by its number. What stays open under the old number is closed with the next exec, like
/// everything else.
///
/// # Errors
/// When no descriptor with this number is open.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: both commands take integers only, and touch no descriptor but the one named; 3 keeps clear of stdio.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor and nobody else knows it.
    let copy = unsafe { OwnedFd::from_raw_fd(copy) };
    // SAFETY: as above; the flag only changes what a later exec does.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;

    #[test]
    fn an_adopted_descriptor_is_the_same_open_file() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut adopted = std::fs::File::from(adopt(reader.as_raw_fd()).unwrap());
        writer.write_all(b"x").unwrap();
        let mut byte = [0; 1];
        adopted.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
        assert!(adopt(1_000_000).is_err());
    }
}
