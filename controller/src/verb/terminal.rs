//! A secret typed on the terminal: without echo, within a time, and the terminal is as it was afterwards.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

/// The longest secret, in bytes.
const LONGEST: usize = 4096;

/// How long somebody may take to hear of a Ctrl-C, in milliseconds.
const HEARD: u16 = 1000;

/// Asks for a secret; `None` where the person ends the question, says nothing in time, or `called_off` is closed.
///
/// # Errors
/// Where there is no terminal, or it cannot be used.
pub(super) fn secret(
    question: &str,
    called_off: &impl AsFd,
    within: Duration,
) -> io::Result<Option<SecretString>> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let term = HeldBack::new(Signal::SIGTERM)?;
    let silent = Silent::make(&terminal)?;
    (&terminal).write_all(question.as_bytes())?;
    let typed = read(&terminal, [called_off.as_fd(), term.fd.as_fd()], Instant::now() + within);
    drop(silent);
    (&terminal).write_all(b"\n")?;
    drop(term);
    match typed? {
        End::Entered(bytes) => Ok(String::from_utf8(bytes).ok().map(SecretString::from)),
        End::Interrupted => {
            // As the key does where the terminal itself looks for it.
            raise(Signal::SIGINT)?;
            // Whoever listens for it calls the question off: from then on the run knows that it is over.
            let mut over = [PollFd::new(called_off.as_fd(), PollFlags::POLLIN)];
            while poll(&mut over, HEARD) == Err(Errno::EINTR) {}
            Ok(None)
        }
        End::GivenUp => Ok(None),
    }
}

/// How a question ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Entered(Vec<u8>),
    Interrupted,
    GivenUp,
}

fn read(mut terminal: &File, ends: [BorrowedFd<'_>; 2], until: Instant) -> io::Result<End> {
    let mut typed = Typed::default();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let [called_off, signal] = ends;
        let mut watched = [terminal.as_fd(), called_off, signal].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut watched, timeout) {
            Err(Errno::EINTR) => continue,
            polled => polled?,
        };
        let [keys, over, signalled] = watched.map(|one| one.any().unwrap_or(true));
        if over || signalled || !keys {
            return Ok(End::GivenUp);
        }
        let mut bytes = [0; 64];
        let count = terminal.read(&mut bytes)?;
        if count == 0 {
            return Ok(End::GivenUp);
        }
        if let Some(end) = bytes.iter().take(count).find_map(|byte| typed.take(*byte)) {
            return Ok(end);
        }
    }
}

/// A signal that waits until the terminal is as it was: it would end the process, where nobody listens for it yet.
struct HeldBack {
    fd: SignalFd,
    was: SigSet,
}

impl HeldBack {
    fn new(signal: Signal) -> io::Result<HeldBack> {
        let set = SigSet::from(signal);
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?;
        Ok(HeldBack { fd, was: set.thread_swap_mask(SigmaskHow::SIG_BLOCK)? })
    }
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        // Delivered before this returns, where it came.
        let _ = self.was.thread_set_mask();
    }
}

/// The terminal without echo, lines and signals of its own; dropped, it is as it was.
struct Silent<'a> {
    terminal: &'a File,
    was: Termios,
}

impl<'a> Silent<'a> {
    fn make(terminal: &'a File) -> io::Result<Silent<'a>> {
        let was = tcgetattr(terminal)?;
        let mut silent = was.clone();
        silent.local_flags -= LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG;
        tcsetattr(terminal, SetArg::TCSANOW, &silent)?;
        Ok(Silent { terminal, was })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(self.terminal, SetArg::TCSANOW, &self.was);
    }
}

/// What has been typed so far.
#[derive(Default)]
struct Typed {
    bytes: Vec<u8>,
    escape: Escape,
}

/// A key that is not a character sends several bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    No,
    Begun,
    Inside,
}

impl Typed {
    /// Takes a byte of the keyboard, and says whether that was the end.
    fn take(&mut self, byte: u8) -> Option<End> {
        self.escape = match (self.escape, byte) {
            (Escape::No, 0x1b) => Escape::Begun,
            (Escape::No, _) => return self.key(byte),
            (Escape::Begun, b'[' | b'O') => Escape::Inside,
            (Escape::Inside, 0x20..=0x3f) => Escape::Inside,
            (Escape::Begun | Escape::Inside, _) => Escape::No,
        };
        None
    }

    fn key(&mut self, byte: u8) -> Option<End> {
        match byte {
            b'\r' | b'\n' => return Some(End::Entered(std::mem::take(&mut self.bytes))),
            // Ctrl-C.
            0x03 => return Some(End::Interrupted),
            // Ctrl-D.
            0x04 if self.bytes.is_empty() => return Some(End::GivenUp),
            // Backspace takes a whole character: its first byte is the one that continues none.
            0x08 | 0x7f => while self.bytes.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            // Ctrl-U.
            0x15 => self.bytes.clear(),
            0x00..=0x1f => {}
            _ if self.bytes.len() < LONGEST => self.bytes.push(byte),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_make_the_line_and_its_end() {
        let entered = |text: &str| Some(End::Entered(text.as_bytes().to_vec()));
        for (keys, expected) in [
            (&b"open sesame\r"[..], entered("open sesame")),
            (b"\n", entered("")),
            ("naï\u{7f}ie\n".as_bytes(), entered("naie")),
            (b"wrong\x15right\n", entered("right")),
            (b"a\x1b[A\x1b[3~\x1bOPb\x00\n", entered("ab")),
            (b"\x7f\x7fab\n", entered("ab")),
            (b"secret\x03", Some(End::Interrupted)),
            (b"\x04", Some(End::GivenUp)),
            (b"a\x04b\n", entered("ab")),
            (b"no end yet", None),
        ] {
            let mut typed = Typed::default();
            assert_eq!(keys.iter().find_map(|byte| typed.take(*byte)), expected, "{keys:?}");
        }
    }

    #[test]
    fn what_is_typed_is_bounded() {
        let mut typed = Typed::default();
        assert!((0..3 * LONGEST).all(|_| typed.take(b'x').is_none()));
        assert_eq!(typed.bytes.len(), LONGEST);
    }
}
