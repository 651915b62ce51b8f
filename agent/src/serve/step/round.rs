//! While a round's child lives: the outer ceiling, memory, the operator's interruption, and the ladder that ends it.

use std::time::Duration;

use crate::event::Event;
use crate::serve::accounting::Accounting;
use crate::serve::action::Action;
use crate::serve::brake::{Brake, Pull};
use crate::serve::floor::{Demand, Floor, FloorPolicy, Reaction, TICK, Who};
use crate::serve::input::{BrakeWrite, Input, MemoryTick, Request, Started};
use crate::serve::state::{EndingRound, Judging, Pulling, RoundPlan, Rung, Running, State, Wish};

use super::machine::Step;

/// How long a round may take to end its agent when it is asked to.
const ASKED: Duration = Duration::from_secs(15);

/// How long a killed round may take to be reaped.
const KILLED: Duration = Duration::from_secs(10);

/// The exit code of a round that cannot be reaped.
const UNREAPED: i64 = 137;

pub(super) fn starting(cx: &mut Step<'_>, plan: RoundPlan, input: Input) -> State {
    match input {
        Input::RoundStarted(started) => begin(cx, plan, started),
        Input::RoundExited(code) => finish(cx, (plan, None), code, Duration::ZERO),
        Input::Request(_)
        | Input::Doorbell
        | Input::Timer
        | Input::Facts(_)
        | Input::StopFile(_)
        | Input::MemoryTick(_)
        | Input::BrakeWritten(_)
        | Input::Scanned(_)
        | Input::HandOverFailed => State::Starting(plan),
    }
}

pub(super) fn running(cx: &mut Step<'_>, mut round: Running, input: Input) -> State {
    match input {
        Input::Request(Request::Cancel) => {
            cancel(cx, &mut round);
            State::Running(round)
        }
        Input::Timer if cx.now.mono >= round.started + round.plan.ceiling => wedged(cx, round),
        Input::Timer => {
            if cx.now.mono >= round.next_tick {
                cx.actions.push(Action::SampleMemory);
                round.next_tick = cx.now.mono + TICK;
            }
            State::Running(round)
        }
        Input::RoundExited(code) => exited(cx, round, code),
        Input::MemoryTick(tick) => memory(cx, round, &tick),
        Input::BrakeWritten(write) => {
            brake_written(cx, &mut round, write);
            State::Running(round)
        }
        // A drain: the round goes on to its end.
        Input::Request(Request::Stop | Request::HandOver)
        | Input::Doorbell
        | Input::Facts(_)
        | Input::StopFile(_)
        | Input::RoundStarted(_)
        | Input::Scanned(_)
        | Input::HandOverFailed => State::Running(round),
    }
}

pub(super) fn ending(cx: &mut Step<'_>, mut ending: EndingRound, input: Input) -> State {
    match input {
        Input::RoundExited(code) => exited(cx, ending.round, code),
        Input::Timer if cx.now.mono >= ending.deadline => match ending.rung {
            Rung::Asked => {
                cx.actions.push(Action::KillRound);
                let deadline = cx.now.mono + KILLED;
                State::EndingRound(EndingRound { rung: Rung::Killed, deadline, ..ending })
            }
            Rung::Killed => {
                cx.actions.push(Action::AbandonRound);
                exited(cx, ending.round, UNREAPED)
            }
        },
        Input::BrakeWritten(write) => {
            brake_written(cx, &mut ending.round, write);
            State::EndingRound(ending)
        }
        Input::Request(_)
        | Input::Timer
        | Input::Doorbell
        | Input::Facts(_)
        | Input::StopFile(_)
        | Input::RoundStarted(_)
        | Input::MemoryTick(_)
        | Input::Scanned(_)
        | Input::HandOverFailed => State::EndingRound(ending),
    }
}

fn begin(cx: &mut Step<'_>, plan: RoundPlan, started: Started) -> State {
    let mut round = Running {
        plan,
        pid: started.pid,
        started: cx.now.mono,
        next_tick: cx.now.mono + TICK,
        cancelled: false,
        floor: Floor::default(),
        brake: Brake::default(),
        pulling: None,
        accounting: started.reading.map(Accounting::start),
    };
    if cx.wish == Wish::Cancel {
        cancel(cx, &mut round);
    }
    State::Running(round)
}

fn cancel(cx: &mut Step<'_>, round: &mut Running) {
    if !std::mem::replace(&mut round.cancelled, true) {
        cx.actions.push(Action::CancelRound);
        cx.emit(Event::RoundCancelled { round_num: round.plan.round_num });
    }
}

fn wedged(cx: &mut Step<'_>, round: Running) -> State {
    cx.emit(Event::RoundSupervisorWedged {
        pid: i64::from(round.pid),
        timeout_s: i64::try_from(round.plan.ceiling.as_secs()).unwrap_or(i64::MAX),
        log_path: cx.policy.logs.round_log(round.plan.round_num).display().to_string(),
    });
    ask_to_end(cx, round)
}

fn ask_to_end(cx: &mut Step<'_>, round: Running) -> State {
    cx.actions.push(Action::AskRoundToEnd);
    State::EndingRound(EndingRound { round, rung: Rung::Asked, deadline: cx.now.mono + ASKED })
}

fn memory(cx: &mut Step<'_>, mut round: Running, tick: &MemoryTick) -> State {
    if let (Some(accounting), Some(reading)) = (&mut round.accounting, tick.reading) {
        accounting.tick(reading);
    }
    let policy = FloorPolicy { terminate: round.plan.terminate, ..cx.policy.floor.clone() };
    let who = Who { round_num: round.plan.round_num, pid: round.pid };
    let reaction = round.floor.tick(&policy, who, tick.tick, cx.now.mono);
    cx.actions.extend(reaction.events.iter().cloned().map(Action::Emit));
    if let Some(brake) = cx.policy.brake {
        let pull = round.brake.tick(brake, reaction.pressure.as_ref(), tick.own.as_ref());
        apply(cx, &mut round, pull, &reaction);
    }
    match reaction.demand {
        Demand::None => State::Running(round),
        Demand::Nudge => {
            cx.actions.push(Action::NudgeRound);
            State::Running(round)
        }
        Demand::Terminate => ask_to_end(cx, round),
    }
}

fn apply(cx: &mut Step<'_>, round: &mut Running, pull: Pull, reaction: &Reaction) {
    match pull {
        Pull::Nothing => {}
        Pull::Engage { target, previous, current } => {
            cx.actions.push(Action::WriteMemoryHigh(target.to_string()));
            round.pulling = Some(Pulling {
                previous,
                target,
                current,
                signal: reaction.pressure.as_ref().map_or("", |pressure| pressure.signal.as_str()),
                context: reaction
                    .pressure
                    .as_ref()
                    .map(|pressure| pressure.context.clone())
                    .unwrap_or_default(),
                rate: reaction.rate,
            });
        }
        Pull::Release { previous } => release(cx, round.plan.round_num, (previous, "recovered")),
    }
}

fn release(cx: &mut Step<'_>, round_num: i64, (previous, reason): (String, &str)) {
    cx.actions.push(Action::WriteMemoryHigh(previous));
    cx.emit(Event::MemoryHighReleased { round_num, reason: reason.into() });
}

fn brake_written(cx: &mut Step<'_>, round: &mut Running, write: BrakeWrite) {
    let round_num = round.plan.round_num;
    match (write, round.pulling.take()) {
        (BrakeWrite::Done(took), Some(pulling)) => cx.emit(Event::MemoryHighEngaged {
            round_num,
            previous: pulling.previous,
            written: i64::try_from(pulling.target).unwrap_or(i64::MAX),
            memory_current: i64::try_from(pulling.current).unwrap_or(i64::MAX),
            write_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
            signal: pulling.signal.into(),
            context: pulling.context,
            rate_mb_per_min: pulling.rate,
        }),
        (BrakeWrite::Done(_), None) => {}
        (BrakeWrite::Failed(errno), _) => {
            round.brake.write_failed();
            cx.emit(Event::MemoryHighWriteFailed { round_num, errno: errno.map(i64::from) });
        }
    }
}

fn exited(cx: &mut Step<'_>, mut round: Running, code: i64) -> State {
    if let Pull::Release { previous } = round.brake.release() {
        release(cx, round.plan.round_num, (previous, "round_end"));
    }
    let duration = cx.now.mono.saturating_sub(round.started);
    finish(cx, (round.plan, round.accounting), code, duration)
}

fn finish(
    cx: &mut Step<'_>,
    (plan, accounting): (RoundPlan, Option<Accounting>),
    exit_code: i64,
    duration: Duration,
) -> State {
    cx.actions.push(Action::FinishRound(plan.round_num));
    cx.actions.push(Action::SubstrateAfter(plan.round_num));
    cx.actions.push(Action::ScanLog(plan.agent.clone()));
    State::Judging(Judging { plan, exit_code, duration, accounting })
}
