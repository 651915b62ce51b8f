//! A terminal: how large it is, and its keys one by one.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its width.
    pub columns: usize,
    /// Its height.
    pub rows: usize,
}

/// Returns the size of the terminal behind a descriptor; `None` where there is none, or it does not tell.
pub fn size(fd: BorrowedFd<'_>) -> Option<Size> {
    let mut told = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize to the pointer, which lives until the call returns.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut told) };
    let size = Size { columns: usize::from(told.ws_col), rows: usize::from(told.ws_row) };
    (answer == 0 && size.columns > 0 && size.rows > 0).then_some(size)
}

/// The keys of the terminal on stdin, each as it is pressed and none echoed. Dropped, the terminal is as before.
#[derive(Debug)]
pub struct Keys {
    fd: RawFd,
    before: libc::termios,
    wanted: libc::termios,
}

impl Keys {
    /// Begins to listen; `None` where stdin is no terminal of ours.
    pub fn listen() -> Option<Keys> {
        Keys::of(io::stdin().as_raw_fd())
    }

    /// Returns the next key; `None` at the end. Waits until there is one.
    pub fn pressed(&self) -> Option<u8> {
        let mut key = 0_u8;
        // SAFETY: read writes at most one byte to the pointer, which lives until the call returns.
        let read = unsafe { libc::read(self.fd, (&raw mut key).cast(), 1) };
        (read == 1).then_some(key)
    }

    /// Whether the terminal is ours to change.
    pub fn in_front(&self) -> bool {
        in_front(self.fd)
    }

    /// Leaves the terminal as it was, until [`Keys::listen_again`].
    pub fn pause(&self) {
        set(self.fd, &self.before);
    }

    /// Listens again, after a pause or after whoever stopped this process has changed the terminal. In the background, the
    /// kernel stops us here until we are in front again.
    pub fn listen_again(&self) {
        set(self.fd, &self.wanted);
    }

    fn of(fd: RawFd) -> Option<Keys> {
        // In the background, changing the terminal would stop us.
        if !in_front(fd) {
            return None;
        }
        // SAFETY: termios is made of integers, for which zero is a value.
        let mut before: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: tcgetattr writes one termios to the pointer, which lives until the call returns.
        let known = unsafe { libc::tcgetattr(fd, &raw mut before) } == 0;
        let mut wanted = before;
        wanted.c_lflag &= !(libc::ICANON | libc::ECHO);
        (known && set(fd, &wanted)).then_some(Keys { fd, before, wanted })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // In the background the terminal is the shell's, and changing it would stop us.
        if self.in_front() {
            set(self.fd, &self.before);
        }
    }
}

fn in_front(fd: RawFd) -> bool {
    // SAFETY: tcgetpgrp only reads its integer argument.
    let front = unsafe { libc::tcgetpgrp(fd) };
    front == nix::unistd::getpgrp().as_raw()
}

fn set(fd: RawFd, wanted: &libc::termios) -> bool {
    // SAFETY: tcsetattr reads one termios from the pointer, which lives until the call returns.
    unsafe { libc::tcsetattr(fd, libc::TCSANOW, wanted) == 0 }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_no_terminal_has_no_size_and_no_keys() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(size(file.as_fd()), None);
        assert!(Keys::of(file.as_raw_fd()).is_none());
    }
}
