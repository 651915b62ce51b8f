//! How a child ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;

/// How a child ended, as one number the way the log files have always had it: a signal is its negative number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
    /// It could not be reaped, even after KILL: it hangs in the kernel.
    Unreaped,
}

impl ExitStatus {
    /// Returns the code; −signal when a signal ended it, −1 when it was not reaped.
    pub fn code(self) -> i64 {
        match self {
            ExitStatus::Exited(code) => i64::from(code),
            ExitStatus::Signalled(signal) => -i64::from(signal),
            ExitStatus::Unreaped => -1,
        }
    }

    /// Returns whether it exited with 0.
    pub fn is_success(self) -> bool {
        self == ExitStatus::Exited(0)
    }
}

impl From<std::process::ExitStatus> for ExitStatus {
    fn from(status: std::process::ExitStatus) -> ExitStatus {
        match (status.code(), status.signal()) {
            (Some(code), _) => ExitStatus::Exited(code),
            (None, Some(signal)) => ExitStatus::Signalled(signal),
            (None, None) => ExitStatus::Unreaped,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitStatus::Exited(code) => write!(f, "exit code {code}"),
            ExitStatus::Signalled(number) => match signal_name(*number) {
                Some(name) => write!(f, "{name}"),
                None => write!(f, "signal {number}"),
            },
            ExitStatus::Unreaped => f.write_str("not reaped"),
        }
    }
}

/// Returns the name of a signal number, `SIGTERM` style; `None` for numbers that are no standard signal.
pub fn signal_name(number: i32) -> Option<&'static str> {
    Signal::try_from(number).ok().map(Signal::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_negative_for_signals() {
        assert_eq!(ExitStatus::Exited(3).code(), 3);
        assert_eq!(ExitStatus::Signalled(15).code(), -15);
        assert_eq!(ExitStatus::Unreaped.code(), -1);
        assert_eq!(ExitStatus::Signalled(9).to_string(), "SIGKILL");
        assert_eq!(signal_name(0), None);
    }
}
