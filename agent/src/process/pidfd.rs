//! A descriptor for a process: readable when it has ended, and a way to signal it that a recycled pid cannot fool.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::sys::signal::Signal;

/// Opens a descriptor for a process; close-on-exec by definition.
///
/// # Errors
/// When the process is gone, or what the kernel returned.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let raw = i32::try_from(raw).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Signals the process behind the descriptor.
pub(super) fn signal(fd: &OwnedFd, signal: Signal) -> io::Result<()> {
    let (raw, number) = (fd.as_raw_fd(), signal as i32);
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open for the call, and a null siginfo is what the kernel asks for.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, raw, number, no_info, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
