//! Where the Loop is. Every value it needs to go on is in here; nothing else remembers.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::accounting::Accounting;
use super::brake::Brake;
use super::breakers::Streaks;
use super::floor::{Floor, Terminate};
use super::sessions::{Eyes, Session, Sessions};
use crate::error::Exit;
use crate::host::Sample;
use crate::process::signals::StopSignal;
use crate::provider::throttle::Throttle;

/// The Loop.
#[derive(Debug, Clone, PartialEq)]
pub struct Loop {
    /// What a hand-over carries into the next program.
    pub carried: Carried,
    /// What the operator wants.
    pub wish: Wish,
    /// The memory of the host at the last admission.
    pub last_sample: Option<Sample>,
    /// Where it is.
    pub state: State,
}

/// What survives a hand-over to another program file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Carried {
    /// Rounds that ended under this Loop.
    pub rounds_completed: u64,
    /// The breakers' streaks.
    pub streaks: Streaks,
    /// The sessions.
    pub sessions: Sessions,
}

/// What the operator wants; a later one is stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Nothing: go on.
    GoOn,
    /// Another program file takes over between two rounds.
    HandOver,
    /// The Loop ends after this round.
    Stop,
    /// The running agent is interrupted, then the Loop ends.
    Cancel,
}

/// Now, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The calendar's time: for windows and resets.
    pub wall: Timestamp,
    /// Since the Loop's start, never set: for durations.
    pub mono: Duration,
}

/// The states; each is documented in docs/supervision.md with what every input does to it.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// At the top of an iteration; the facts are being gathered.
    Deciding,
    /// A throttle is slept off.
    BackingOff(BackingOff),
    /// Memory pressure holds the next round back.
    Deferred(Waiting),
    /// The schedule is closed.
    Paused(Waiting),
    /// The round's child is being started.
    Starting(RoundPlan),
    /// The round's child runs.
    Running(Running),
    /// The round's child is being ended.
    EndingRound(EndingRound),
    /// The round is over; the log is being scanned.
    Judging(Judging),
    /// Between two rounds.
    Delaying(Delaying),
    /// Another program file is about to take over; so much is left of the delay.
    HandingOver(Duration),
    /// Over.
    Ended(Exit),
}

/// A throttle slept off.
#[derive(Debug, Clone, PartialEq)]
pub struct BackingOff {
    /// Whose.
    pub throttle: Throttle,
    /// When it is over, by the wall clock.
    pub until: Timestamp,
    /// When to look again, monotonic.
    pub recheck: Duration,
}

/// A pause that ends when the facts say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// When it began, monotonic.
    pub since: Duration,
    /// When to look again, monotonic.
    pub recheck: Duration,
}

/// The time between two rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delaying {
    /// When it is over, monotonic.
    pub until: Duration,
    /// When to look for the stop file, monotonic.
    pub recheck: Duration,
}

/// What the next round runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundPlan {
    /// Its number.
    pub round_num: i64,
    /// Its phase, when the Loop chooses it.
    pub phase: Option<String>,
    /// Its agent, when the Loop knows it.
    pub agent: Option<String>,
    /// When its own supervisor counts as wedged.
    pub ceiling: Duration,
    /// Seconds its agent gets between the first signal and KILL.
    pub grace_s: u64,
    /// The signal that asks its agent to end.
    pub stop_signal: StopSignal,
    /// Whether it looks with fresh eyes.
    pub eyes: Eyes,
    /// Its session.
    pub session: Option<Session>,
    /// What critical memory leads to.
    pub terminate: Terminate,
}

/// A running round.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// What it runs with.
    pub plan: RoundPlan,
    /// The process id of its child.
    pub pid: i32,
    /// When it began, monotonic.
    pub started: Duration,
    /// The next memory tick, monotonic.
    pub next_tick: Duration,
    /// Whether the operator's interruption was passed on.
    pub cancelled: bool,
    /// Its memory.
    pub floor: Floor,
    /// The soft brake.
    pub brake: Brake,
    /// What to tell once the brake is known to be pulled.
    pub pulling: Option<Pulling>,
    /// What it used, when a control group bounds it.
    pub accounting: Option<Accounting>,
}

/// A pull at the brake that is being written.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulling {
    /// What was there.
    pub previous: String,
    /// What is written.
    pub target: u64,
    /// `memory.current` of that tick.
    pub current: u64,
    /// Which rung of the ladder saw pressure.
    pub signal: &'static str,
    /// Its figures.
    pub context: Map<String, Value>,
    /// Growth in MB per minute.
    pub rate: Option<f64>,
}

/// A round that is being ended.
#[derive(Debug, Clone, PartialEq)]
pub struct EndingRound {
    /// The round.
    pub round: Running,
    /// How far the ladder has come.
    pub rung: Rung,
    /// When the next rung is due, monotonic.
    pub deadline: Duration,
}

/// The ladder that ends a round's child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// Its leader was asked with SIGTERM.
    Asked,
    /// It and everything recorded below it was killed.
    Killed,
}

/// A round that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Judging {
    /// What it ran with.
    pub plan: RoundPlan,
    /// Its child's exit code.
    pub exit_code: i64,
    /// How long it took, as the Loop saw it.
    pub duration: Duration,
    /// What it used.
    pub accounting: Option<Accounting>,
}

impl Loop {
    /// Returns a Loop at the top of its first iteration.
    pub fn new(carried: Carried) -> Loop {
        Loop { carried, wish: Wish::GoOn, last_sample: None, state: State::Deciding }
    }

    /// Returns when [`Input::Timer`](super::input::Input::Timer) is due, monotonic; `None` when only other input counts.
    pub fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Deciding
            | State::Starting(_)
            | State::Judging(_)
            | State::HandingOver(_)
            | State::Ended(_) => None,
            State::BackingOff(off) => Some(off.recheck),
            State::Deferred(waiting) | State::Paused(waiting) => Some(waiting.recheck),
            State::Running(round) => Some(round.next_tick.min(round.started + round.plan.ceiling)),
            State::EndingRound(ending) => Some(ending.deadline),
            State::Delaying(delaying) => Some(delaying.until.min(delaying.recheck)),
        }
    }

    /// Returns one line for people: what the service manager shows.
    pub fn describe(&self) -> String {
        let rounds = self.carried.rounds_completed;
        match &self.state {
            State::Deciding => "deciding about the next round".to_owned(),
            State::BackingOff(off) => format!("{} is throttled until {}", off.throttle.agent, off.until),
            State::Deferred(_) => "waiting for memory".to_owned(),
            State::Paused(_) => "waiting for the schedule".to_owned(),
            State::Starting(plan) => format!("round {} starts", plan.round_num),
            State::Running(round) => format!("round {} runs, {rounds} done", round.plan.round_num),
            State::EndingRound(ending) => format!("round {} is being ended", ending.round.plan.round_num),
            State::Judging(judging) => format!("round {} is over", judging.plan.round_num),
            State::Delaying(_) => format!("between rounds, {rounds} done"),
            State::HandingOver(_) => "handing over to another program file".to_owned(),
            State::Ended(exit) => format!("ended with {}", exit.code()),
        }
    }
}
