//! Signals as input: blocked in the process, read from a descriptor in the one loop that owns the state.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// A signal we listen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalInput {
    /// SIGTERM
    Term,
    /// SIGINT
    Int,
    /// SIGHUP
    Hup,
    /// SIGQUIT
    Quit,
    /// SIGUSR1
    Usr1,
    /// SIGUSR2
    Usr2,
    /// SIGWINCH: the terminal has another size.
    Winch,
    /// SIGTSTP: Ctrl-Z.
    Tstp,
    /// SIGCONT: what was stopped goes on.
    Cont,
}

impl SignalInput {
    const ALL: [SignalInput; 9] = [
        SignalInput::Term,
        SignalInput::Int,
        SignalInput::Hup,
        SignalInput::Quit,
        SignalInput::Usr1,
        SignalInput::Usr2,
        SignalInput::Winch,
        SignalInput::Tstp,
        SignalInput::Cont,
    ];

    /// Returns the kernel's signal.
    pub fn signal(self) -> Signal {
        match self {
            SignalInput::Term => Signal::SIGTERM,
            SignalInput::Int => Signal::SIGINT,
            SignalInput::Hup => Signal::SIGHUP,
            SignalInput::Quit => Signal::SIGQUIT,
            SignalInput::Usr1 => Signal::SIGUSR1,
            SignalInput::Usr2 => Signal::SIGUSR2,
            SignalInput::Winch => Signal::SIGWINCH,
            SignalInput::Tstp => Signal::SIGTSTP,
            SignalInput::Cont => Signal::SIGCONT,
        }
    }
}

/// The first signal a child gets when it has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM
    Term,
    /// SIGINT
    Int,
}

impl StopSignal {
    /// Returns the name, as it is handed down in the environment and written in presets.
    pub fn name(self) -> &'static str {
        match self {
            StopSignal::Term => "SIGTERM",
            StopSignal::Int => "SIGINT",
        }
    }

    /// Returns the signal of a name, with or without `SIG`.
    pub fn from_name(name: &str) -> Option<StopSignal> {
        match name.trim().trim_start_matches("SIG") {
            "TERM" => Some(StopSignal::Term),
            "INT" => Some(StopSignal::Int),
            _ => None,
        }
    }

    /// Returns the kernel's signal.
    pub fn signal(self) -> Signal {
        match self {
            StopSignal::Term => Signal::SIGTERM,
            StopSignal::Int => Signal::SIGINT,
        }
    }
}

/// The signals this process no longer takes as interruptions. They stay blocked for its life; children start with
/// an empty mask.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks the signals and opens the descriptor that tells of them. Call it before any thread is started.
    ///
    /// # Errors
    /// When the kernel refuses either.
    pub fn block(inputs: &[SignalInput]) -> io::Result<Signals> {
        let mut mask = SigSet::empty();
        for input in inputs {
            mask.add(input.signal());
        }
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
        let fd = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { fd })
    }

    /// Returns the next signal that has arrived, if any; never waits.
    pub fn next(&self) -> Option<SignalInput> {
        // The descriptor is ours and non-blocking: the only answers are a signal and "none yet".
        let info = self.fd.read_signal().ok().flatten()?;
        let number = i32::try_from(info.ssi_signo).ok()?;
        SignalInput::ALL.into_iter().find(|input| input.signal() as i32 == number)
    }

    /// Stops this process, as Ctrl-Z does where nobody listens, and returns once it goes on; at once where it cannot be
    /// stopped, because nobody could let it go on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn suspend(&self) -> io::Result<()> {
        let mask = SigSet::from(SignalInput::Tstp.signal());
        raise(SignalInput::Tstp.signal())?;
        // It is delivered before this returns.
        sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&mask), None)?;
        Ok(sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_blocked_signal_becomes_input() {
        // Sent to this thread, so that the other tests' threads never see it.
        let signals = Signals::block(&[SignalInput::Usr2]).unwrap();
        assert_eq!(signals.next(), None);
        raise(Signal::SIGUSR2).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        assert_eq!(super::super::wait::wait_any(&[signals.as_fd()], Some(deadline)).unwrap(), [0]);
        assert_eq!(signals.next(), Some(SignalInput::Usr2));
        assert_eq!(signals.next(), None);
    }

    #[test]
    fn stop_signals_read_back_from_their_names() {
        for signal in [StopSignal::Term, StopSignal::Int] {
            assert_eq!(StopSignal::from_name(signal.name()), Some(signal));
        }
        assert_eq!(StopSignal::from_name("INT"), Some(StopSignal::Int));
        assert_eq!(StopSignal::from_name("SIGKILL"), None);
    }
}
