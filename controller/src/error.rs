//! Exit codes of the controller, and the error a verb ends with.

/// What the process ends with; the numbers are contract (docs/commands.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All selected hosts are well.
    Ok,
    /// A controller or configuration error before any host ran.
    Config,
    /// A wrong command line, an unknown name, an empty selection.
    Usage,
    /// No host could start because another run holds the lock.
    Locked,
    /// Interrupted.
    Interrupted,
    /// What the hosts said: bits of [`HostBits`].
    Hosts(HostBits),
    /// The highest code a command ended with on a host (`exec --rc max`).
    Command(u8),
}

/// How the hosts of a run ended, as bits that are OR-ed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostBits(u8);

impl HostBits {
    /// At least one host failed.
    pub const FAILED: HostBits = HostBits(2);
    /// At least one host was unreachable.
    pub const UNREACHABLE: HostBits = HostBits(4);
    /// Stopped by the failure threshold or the canary gate.
    pub const STOPPED: HostBits = HostBits(8);
    /// At least one host went back to its previous release.
    pub const REVERTED: HostBits = HostBits(16);
    /// Hosts differ from what they shall be.
    pub const DRIFT: HostBits = HostBits(32);

    /// Returns both.
    pub fn and(self, other: HostBits) -> HostBits {
        HostBits(self.0 | other.0)
    }

    /// Returns the bits, when there is at least one such host.
    pub fn with(self, hosts: usize) -> HostBits {
        if hosts > 0 { self } else { HostBits::default() }
    }
}

impl Exit {
    /// Returns the number the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Config => 1,
            Exit::Usage => 5,
            Exit::Locked => 75,
            Exit::Interrupted => 130,
            Exit::Hosts(HostBits(bits)) => bits,
            Exit::Command(code) => code,
        }
    }

    /// Returns the same with bits added, where hosts decide.
    pub fn and(self, bits: HostBits) -> Exit {
        match self {
            Exit::Ok => Exit::Hosts(bits),
            Exit::Hosts(other) => Exit::Hosts(other.and(bits)),
            Exit::Config | Exit::Usage | Exit::Locked | Exit::Interrupted | Exit::Command(_) => self,
        }
    }
}

/// A verb's failure before, or apart from, any host's.
pub type Error = agent_runner::error::Error<Exit>;

/// Returns a controller or configuration error (exit 1).
pub fn config(message: impl Into<String>) -> Error {
    Error::new(Exit::Config, message)
}

/// Returns a usage error (exit 5).
pub fn usage(message: impl Into<String>) -> Error {
    Error::new(Exit::Usage, message)
}
