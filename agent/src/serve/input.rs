//! What can happen to the Loop.

use std::time::Duration;

use super::accounting::{End, Reading};
use super::brake::Own;
use super::floor::Tick;
use crate::host::Sample;
use crate::provider::throttle::Throttles;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The operator wants something.
    Request(Request),
    /// Somebody rang, or a watched folder changed: look again.
    Doorbell,
    /// The state's deadline has come.
    Timer,
    /// The facts asked for at the top of an iteration, or in a pause.
    Facts(Box<Facts>),
    /// The content of the stop file; `None` when there is none.
    StopFile(Option<String>),
    /// The round's child runs.
    RoundStarted(Started),
    /// The round's child is gone (or could not be started); its exit code.
    RoundExited(i64),
    /// Memory, as asked for.
    MemoryTick(Box<MemoryTick>),
    /// The soft brake was written, or not.
    BrakeWritten(BrakeWrite),
    /// What the log says after a round.
    Scanned(Box<Scan>),
    /// The other program file did not take over.
    HandOverFailed,
}

/// What the operator can ask a running Loop for, by signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM, SIGINT: end after the round.
    Stop,
    /// SIGUSR1: interrupt the agent, then end.
    Cancel,
    /// SIGUSR2: let another program file take over between two rounds.
    HandOver,
}

/// What one iteration is decided by.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// What the agent wrote into `.agent-done`, when it exists.
    pub agent_done: Option<String>,
    /// The content of the stop file, when it exists.
    pub stop_file: Option<String>,
    /// The number the next round gets.
    pub next_round: i64,
    /// The transient errors.
    pub throttles: Throttles,
    /// Memory.
    pub sample: Sample,
    /// Random seconds, 5 to 30, so that many hosts do not come back at once.
    pub jitter_s: u8,
    /// A random session id.
    pub fresh_id: String,
}

/// A started round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The process id of its child.
    pub pid: i32,
    /// The control group that bounds it.
    pub reading: Option<Reading>,
}

/// One look at memory during a round.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemoryTick {
    /// The host and the round.
    pub tick: Tick,
    /// Our own control group, for the brake.
    pub own: Option<Own>,
    /// The control group that bounds the round.
    pub reading: Option<Reading>,
}

/// How writing the brake went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrakeWrite {
    /// Written, in this time.
    Done(Duration),
    /// Refused with this error number.
    Failed(Option<i32>),
}

/// What the log and the host say after a round.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scan {
    /// Whether the round was ended for memory.
    pub mem_terminated: bool,
    /// Whether its agent is throttled.
    pub throttled: bool,
    /// Whether it reported a refused login.
    pub refused: bool,
    /// Whether its agent is known to report usage.
    pub reports_usage: bool,
    /// Whether usage was reported since it began.
    pub used: bool,
    /// `mem_loop` events within the window before now.
    pub earlier_mem_loops: u32,
    /// The control group at the end.
    pub end: End,
}
