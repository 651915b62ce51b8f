//! The pauses: every one ends at once for a signal and for the stop file, and by itself when its reason is gone.

use std::time::Duration;

use crate::error::Exit;
use crate::event::Event;
use crate::serve::action::Action;
use crate::serve::backoff;
use crate::serve::input::{Facts, Input};
use crate::serve::state::{BackingOff, Delaying, State, Waiting, Wish};

use super::decide::{self, Turn};
use super::machine::{RECHECK, Step};

/// What concerns one pause, after what all of them do alike.
enum Own {
    /// The pause is over: somebody wants something else.
    Left(Box<State>),
    /// Nothing.
    Nothing,
    /// A ring at the door.
    Ring,
    /// The time to look again.
    Timer,
    /// There is no stop file.
    NoStopFile,
    /// What was gathered.
    Facts(Box<Facts>),
}

/// Every pause ends for a wish, `left` being what remains of a delay, and for the stop file.
fn own(cx: &mut Step<'_>, left: Duration, input: Input) -> Own {
    match input {
        Input::Request(_) => cx.leave(left).map_or(Own::Nothing, |state| Own::Left(Box::new(state))),
        Input::StopFile(Some(content)) => Own::Left(Box::new(cx.stop_file(&content))),
        Input::StopFile(None) => Own::NoStopFile,
        Input::Doorbell => Own::Ring,
        Input::Timer => Own::Timer,
        Input::Facts(facts) => Own::Facts(facts),
        Input::RoundStarted(_)
        | Input::RoundExited(_)
        | Input::MemoryTick(_)
        | Input::BrakeWritten(_)
        | Input::Scanned(_)
        | Input::HandOverFailed => Own::Nothing,
    }
}

pub(super) fn backing_off(cx: &mut Step<'_>, off: BackingOff, input: Input) -> State {
    match own(cx, Duration::ZERO, input) {
        Own::Left(state) => *state,
        Own::Ring | Own::Timer => look(cx, State::BackingOff(off)),
        Own::NoStopFile if cx.now.wall >= off.until => {
            cx.emit(backoff::recovered(&off.throttle, cx.now.wall));
            cx.decide()
        }
        Own::NoStopFile => {
            let left = Duration::try_from(off.until.duration_since(cx.now.wall)).unwrap_or_default();
            State::BackingOff(BackingOff { recheck: cx.recheck(left), ..off })
        }
        Own::Facts(_) | Own::Nothing => State::BackingOff(off),
    }
}

pub(super) fn deferred(cx: &mut Step<'_>, waiting: Waiting, input: Input) -> State {
    match own(cx, Duration::ZERO, input) {
        Own::Left(state) => *state,
        // Memory is judged from sample to sample: a ring must not bring the next one forward.
        Own::Ring => look(cx, State::Deferred(waiting)),
        Own::Timer => {
            cx.actions.push(Action::Gather);
            State::Deferred(Waiting { recheck: cx.recheck(RECHECK), ..waiting })
        }
        Own::Facts(facts) => {
            if let Some(content) = &facts.stop_file {
                return cx.stop_file(content);
            }
            if decide::admission(cx, facts.sample).is_some() {
                return State::Deferred(Waiting { recheck: cx.recheck(RECHECK), ..waiting });
            }
            let deferred_for_s = cx.seconds_since(waiting.since);
            cx.emit(Event::RoundResumed { deferred_for_s });
            cx.decide()
        }
        Own::NoStopFile | Own::Nothing => State::Deferred(waiting),
    }
}

pub(super) fn paused(cx: &mut Step<'_>, waiting: Waiting, input: Input) -> State {
    match own(cx, Duration::ZERO, input) {
        Own::Left(state) => *state,
        Own::Ring | Own::Timer => {
            cx.actions.push(Action::Gather);
            State::Paused(Waiting { recheck: cx.recheck(RECHECK), ..waiting })
        }
        Own::Facts(facts) => {
            if let Some(content) = &facts.stop_file {
                return cx.stop_file(content);
            }
            match decide::choose(cx.policy, &facts, cx.now.wall) {
                Turn::Closed(closed) => {
                    let expected = decide::expected(&closed, cx.now.wall);
                    State::Paused(Waiting { recheck: cx.recheck(expected), ..waiting })
                }
                Turn::Anything | Turn::Phase(_) => {
                    let paused_for_s = cx.seconds_since(waiting.since);
                    cx.emit(Event::ScheduleResumed { paused_for_s });
                    cx.decide()
                }
            }
        }
        Own::NoStopFile | Own::Nothing => State::Paused(waiting),
    }
}

pub(super) fn delaying(cx: &mut Step<'_>, delaying: Delaying, input: Input) -> State {
    let left = delaying.until.saturating_sub(cx.now.mono);
    match own(cx, left, input) {
        Own::Left(state) => *state,
        Own::Timer if left.is_zero() => cx.decide(),
        // A ring looks for the stop file and shortens nothing.
        Own::Ring | Own::Timer => {
            let recheck = cx.recheck(RECHECK);
            look(cx, State::Delaying(Delaying { recheck, ..delaying }))
        }
        Own::NoStopFile | Own::Facts(_) | Own::Nothing => State::Delaying(delaying),
    }
}

pub(super) fn handing_over(cx: &mut Step<'_>, delay: Duration, input: &Input) -> State {
    match input {
        Input::HandOverFailed => match cx.wish {
            Wish::Stop | Wish::Cancel => State::Ended(Exit::Ok),
            Wish::GoOn | Wish::HandOver => {
                cx.wish = Wish::GoOn;
                let until = cx.now.mono + delay;
                State::Delaying(Delaying { until, recheck: cx.recheck(RECHECK) })
            }
        },
        Input::Request(_)
        | Input::Doorbell
        | Input::Timer
        | Input::Facts(_)
        | Input::StopFile(_)
        | Input::RoundStarted(_)
        | Input::RoundExited(_)
        | Input::MemoryTick(_)
        | Input::BrakeWritten(_)
        | Input::Scanned(_) => State::HandingOver(delay),
    }
}

fn look(cx: &mut Step<'_>, state: State) -> State {
    cx.actions.push(Action::LookForStopFile);
    state
}
