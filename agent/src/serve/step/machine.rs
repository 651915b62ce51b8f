//! The dispatch over states, and what several of them share.

use std::path::Path;
use std::time::Duration;

use crate::error::Exit;
use crate::event::Event;
use crate::host::Sample;
use crate::serve::action::Action;
use crate::serve::input::{Input, Request};
use crate::serve::policy::Policy;
use crate::serve::state::{Carried, Loop, Now, State, Wish};

use super::{decide, judge, round, wait};

/// The longest time between two looks in a pause: an event can be missed, a clock can jump.
pub(super) const RECHECK: Duration = Duration::from_secs(30);

/// The shortest, so that nothing can make a pause spin.
const RECHECK_MIN: Duration = Duration::from_millis(100);

/// The longest text of a file that goes into an event, in characters.
pub(super) const QUOTE_MAX: usize = 200;

/// Takes one input.
pub fn step(policy: &Policy, current: Loop, input: Input, now: Now) -> (Loop, Vec<Action>) {
    let Loop { carried, wish, last_sample, state } = current;
    let mut cx = Step { policy, now, carried, wish, last_sample, actions: Vec::new() };
    if let Input::Request(request) = &input {
        cx.wish = cx.wish.max(wish_of(*request));
    }
    let state = match state {
        State::Deciding => decide::deciding(&mut cx, input),
        State::BackingOff(off) => wait::backing_off(&mut cx, off, input),
        State::Deferred(waiting) => wait::deferred(&mut cx, waiting, input),
        State::Paused(waiting) => wait::paused(&mut cx, waiting, input),
        State::Starting(plan) => round::starting(&mut cx, plan, input),
        State::Running(running) => round::running(&mut cx, running, input),
        State::EndingRound(ending) => round::ending(&mut cx, ending, input),
        State::Judging(judging) => judge::judging(&mut cx, judging, input),
        State::Delaying(delaying) => wait::delaying(&mut cx, delaying, input),
        State::HandingOver(delay) => wait::handing_over(&mut cx, delay, &input),
        State::Ended(exit) => State::Ended(exit),
    };
    let Step { carried, wish, last_sample, actions, .. } = cx;
    (Loop { carried, wish, last_sample, state }, actions)
}

/// One step while it is taken.
pub(super) struct Step<'a> {
    pub(super) policy: &'a Policy,
    pub(super) now: Now,
    pub(super) carried: Carried,
    pub(super) wish: Wish,
    pub(super) last_sample: Option<Sample>,
    pub(super) actions: Vec<Action>,
}

impl Step<'_> {
    pub(super) fn emit(&mut self, event: Event) {
        self.actions.push(Action::Emit(event));
    }

    /// Goes to the top of an iteration.
    pub(super) fn decide(&mut self) -> State {
        self.actions.push(Action::Gather);
        State::Deciding
    }

    /// Returns where the operator's wish leads from a pause, `left` being what remains of a delay.
    pub(super) fn leave(&mut self, left: Duration) -> Option<State> {
        match self.wish {
            Wish::GoOn => None,
            Wish::HandOver => {
                self.actions.push(Action::HandOver(left));
                Some(State::HandingOver(left))
            }
            Wish::Stop | Wish::Cancel => Some(State::Ended(Exit::Ok)),
        }
    }

    /// Ends the Loop for the stop file.
    pub(super) fn stop_file(&mut self, content: &str) -> State {
        let rounds_completed = self.rounds_completed();
        let stop_file = self.policy.stop_file.as_deref().map(Path::display);
        self.emit(Event::StopFileDetected {
            stop_file: stop_file.map(|path| path.to_string()).unwrap_or_default(),
            content: content.chars().take(QUOTE_MAX).collect(),
            rounds_completed,
        });
        State::Ended(Exit::Ok)
    }

    pub(super) fn rounds_completed(&self) -> i64 {
        i64::try_from(self.carried.rounds_completed).unwrap_or(i64::MAX)
    }

    /// Returns when to look again in a pause that is expected to take `expected` more.
    pub(super) fn recheck(&self, expected: Duration) -> Duration {
        self.now.mono + expected.clamp(RECHECK_MIN, RECHECK)
    }

    /// Returns whole seconds since a monotonic instant.
    pub(super) fn seconds_since(&self, since: Duration) -> i64 {
        i64::try_from(self.now.mono.saturating_sub(since).as_secs()).unwrap_or(i64::MAX)
    }
}

fn wish_of(request: Request) -> Wish {
    match request {
        Request::Stop => Wish::Stop,
        Request::Cancel => Wish::Cancel,
        Request::HandOver => Wish::HandOver,
    }
}
