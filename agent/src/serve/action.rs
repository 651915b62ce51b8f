//! What the driver is told to do. Those that ask something are answered by one [`Input`](super::input::Input).

use std::time::Duration;

use super::breakers::GiveUp;
use super::state::RoundPlan;
use crate::event::Event;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Append an event.
    Emit(Event),
    /// Gather the facts; answered by `Facts`.
    Gather,
    /// Look for the stop file; answered by `StopFile`.
    LookForStopFile,
    /// Append `round_substrate_before`.
    SubstrateBefore(i64),
    /// Start the round's child; answered by `RoundStarted`, or by `RoundExited` when it cannot be started.
    StartRound(RoundPlan),
    /// Look at memory; answered by `MemoryTick`.
    SampleMemory,
    /// Pass the operator's interruption on to the round: SIGUSR1 to its leader.
    CancelRound,
    /// SIGTERM to the round's leader and nothing more.
    NudgeRound,
    /// Record everything below the round's child, then SIGTERM to its leader.
    AskRoundToEnd,
    /// KILL the round's group and everything recorded.
    KillRound,
    /// Let go of a child that cannot be reaped.
    AbandonRound,
    /// Write `memory.high` of our own control group; answered by `BrakeWritten`.
    WriteMemoryHigh(String),
    /// End what the round left behind and point `round-current.log` to its log.
    FinishRound(i64),
    /// Append `round_substrate_after`.
    SubstrateAfter(i64),
    /// Scan the log for what happened to the round of this agent (any when `None`); answered by `Scanned`.
    ScanLog(Option<String>),
    /// Append the kernel's kills to the round's log and as an event.
    ReportOomKill {
        /// The round.
        round_num: i64,
        /// Processes killed.
        kills: i64,
    },
    /// Append the event of giving up, with the end of the round's log as its reason.
    ReportGiveUp {
        /// Why.
        why: GiveUp,
        /// How many in a row.
        consecutive: u32,
        /// The round.
        round_num: i64,
        /// Its child's exit code.
        exit_code: i64,
    },
    /// Let the program file of the command line take over, with so much of the delay left; answered by
    /// `HandOverFailed`, or not at all.
    HandOver(Duration),
}
