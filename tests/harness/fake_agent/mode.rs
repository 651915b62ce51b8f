//! What a scripted agent is told to do.

use std::fmt;

/// The behavior of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Writes a line to `work.md` and commits it; ends with 0.
    Work,
    /// Says something, changes nothing; ends with 0.
    Idle,
    /// Writes to `work.md` and does not commit; ends with 0.
    Dirty,
    /// As [`Mode::Work`], after so many seconds.
    Sleep(u32),
    /// Ends with this code, right away.
    Exit(u8),
    /// The provider refuses the credentials: status 401, ends with 1.
    Auth,
    /// The account's five hours are used up; the limit ends in so many seconds. Ends with 1.
    RateLimit(u32),
    /// The provider is overloaded: status 529, ends with 1.
    Overloaded,
    /// Never ends, until SIGTERM.
    Hang,
    /// Never ends, and ignores SIGTERM, as its child does.
    IgnoreTerm,
    /// Stops itself with SIGSTOP; works after SIGCONT.
    StopSelf,
    /// Works, and leaves a process in a session of its own that ignores SIGTERM.
    ForkSetsid,
    /// Works, and leaves a process in a session of its own that holds standard output open.
    HoldStdout,
    /// Prints so many bytes first, then works.
    Flood(u64),
    /// Prints a NUL, broken UTF-8 and broken JSON, then works.
    Garbage,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work => f.write_str("work"),
            Self::Idle => f.write_str("idle"),
            Self::Dirty => f.write_str("dirty"),
            Self::Sleep(seconds) => write!(f, "sleep {seconds}"),
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Auth => f.write_str("auth"),
            Self::RateLimit(seconds) => write!(f, "ratelimit {seconds}"),
            Self::Overloaded => f.write_str("overloaded"),
            Self::Hang => f.write_str("hang"),
            Self::IgnoreTerm => f.write_str("ignore_term"),
            Self::StopSelf => f.write_str("stop_self"),
            Self::ForkSetsid => f.write_str("fork_setsid"),
            Self::HoldStdout => f.write_str("hold_stdout"),
            Self::Flood(bytes) => write!(f, "flood {bytes}"),
            Self::Garbage => f.write_str("garbage"),
        }
    }
}
