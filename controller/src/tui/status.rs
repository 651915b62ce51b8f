//! The one word for a stream. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::fleetview::state::{Link, Moment, Reach, Silent, StreamState};

/// How a stream is, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It runs, and its last round failed or a critical alert fires.
    Failing,
    /// Its host cannot be reached.
    Unreachable,
    /// It says nothing, or its connection is gone: what was known is old.
    Stale,
    /// Its service was stopped for a detector.
    AutoStopped,
    /// Nothing has been heard of it yet.
    Connecting,
    /// Its service does not run.
    Stopped,
    /// It waits for its provider.
    Throttled,
    /// It waits for its next round.
    Idle,
    /// A round is in progress.
    Working,
}

/// The order of the strip at the top: first what is well.
pub const STRIP: [Status; 9] = [
    Status::Working,
    Status::Idle,
    Status::Throttled,
    Status::Stopped,
    Status::AutoStopped,
    Status::Failing,
    Status::Stale,
    Status::Unreachable,
    Status::Connecting,
];

impl Status {
    /// Returns the word.
    pub fn word(self) -> &'static str {
        match self {
            Status::Failing => "failing",
            Status::Unreachable => "unreachable",
            Status::Stale => "stale",
            Status::AutoStopped => "auto-stopped",
            Status::Connecting => "connecting",
            Status::Stopped => "stopped",
            Status::Throttled => "throttled",
            Status::Idle => "idle",
            Status::Working => "working",
        }
    }

    /// Returns a shorter word, for where there is little room.
    pub fn short(self) -> &'static str {
        match self {
            Status::Failing => "fail",
            Status::Unreachable => "lost",
            Status::Stale => "stale",
            Status::AutoStopped => "auto",
            Status::Connecting => "new",
            Status::Stopped => "stop",
            Status::Throttled => "wait",
            Status::Idle => "idle",
            Status::Working => "work",
        }
    }

    /// Returns its sign: no two are alike, so that colour is never needed.
    pub fn sign(self) -> char {
        match self {
            Status::Failing => '!',
            Status::Unreachable => '\u{2716}',
            Status::Stale => '?',
            Status::AutoStopped => '\u{25a0}',
            Status::Connecting => '\u{2026}',
            Status::Stopped => '\u{25a1}',
            Status::Throttled => '~',
            Status::Idle => '\u{25cb}',
            Status::Working => '\u{25b6}',
        }
    }

    /// Returns whether what is shown of the stream is what is the case now.
    pub fn is_current(self) -> bool {
        match self {
            Status::Unreachable | Status::Stale | Status::Connecting => false,
            Status::Failing
            | Status::AutoStopped
            | Status::Stopped
            | Status::Throttled
            | Status::Idle
            | Status::Working => true,
        }
    }
}

/// Returns the status of a stream; `critical` is whether a critical alert fires there.
pub fn of(state: &StreamState, critical: bool, now: Moment, stale_after: Duration) -> Status {
    if let Some(not_up) = not_up(state, now, stale_after) {
        return not_up;
    }
    let Some(said) = &state.state else { return Status::Connecting };
    let throttled = said.throttled_until.as_deref().and_then(agent_runner::store::time::parse);
    if !said.active {
        return if state.stopped.is_some() { Status::AutoStopped } else { Status::Stopped };
    }
    if critical {
        return Status::Failing;
    }
    if throttled.is_some_and(|until| until > now.wall) {
        return Status::Throttled;
    }
    if state.last_ended_well() == Some(false) {
        return Status::Failing;
    }
    if said.running { Status::Working } else { Status::Idle }
}

fn not_up(state: &StreamState, now: Moment, stale_after: Duration) -> Option<Status> {
    match (&state.link, state.silent) {
        (Link::Down { reach: Reach::Unreached, .. }, _) | (_, Some(Silent::Unreachable)) => {
            Some(Status::Unreachable)
        }
        (Link::Down { reach: Reach::Reached, .. }, _) | (_, Some(Silent::Stale)) => Some(Status::Stale),
        (Link::Connecting, None) if state.state.is_none() && age(state, now) <= stale_after => {
            Some(Status::Connecting)
        }
        (Link::Connecting | Link::Up, None) => (age(state, now) > stale_after).then_some(Status::Stale),
    }
}

/// Returns how old the last word of a stream is, by whichever clock says more: the monotonic one stands still while
/// this machine sleeps.
pub fn age(state: &StreamState, now: Moment) -> Duration {
    let mono = now.mono.saturating_sub(state.last_data.mono);
    mono.max(Duration::from_secs(since(state.last_data.wall, now.wall)))
}

/// Returns the seconds since an instant; an instant to come is now.
pub fn since(then: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_second() - then.as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tui::fixture::{Said, at, said};

    #[test]
    fn what_is_old_or_cut_off_is_never_shown_as_up() {
        let up = |change: &dyn Fn(&mut StreamState)| {
            let mut state = StreamState::new(None, at(100));
            state.link = Link::Up;
            state.state = Some(said(Said::Working));
            change(&mut state);
            state
        };
        let stale_after = Duration::from_secs(30);
        let down = |reach| Link::Down { reason: "cut".into(), reach };
        let stopped = crate::fleetview::state::AutoStopped {
            detector: "hung".into(),
            at: Timestamp::UNIX_EPOCH,
            by: crate::fleetview::told::StoppedBy::Host,
        };
        let killed = |state: &mut StreamState, cause: &str| {
            state.state.as_mut().unwrap().last_exit_code = Some(-9);
            let exit = json!({"event": "agent_exit", "round_num": 1, "exit_code": -9, "exit_cause": cause});
            state.rounds.take(&exit, at(100).wall);
        };
        type Change<'a> = &'a dyn Fn(&mut StreamState);
        let cases: [(Change<'_>, bool, u64, Status); 17] = [
            (&|_| {}, false, 100, Status::Working),
            (&|_| {}, true, 100, Status::Failing),
            (&|_| {}, false, 131, Status::Stale),
            (&|state| state.silent = Some(Silent::Stale), false, 100, Status::Stale),
            (&|state| state.silent = Some(Silent::Unreachable), false, 100, Status::Unreachable),
            (&|state| state.link = down(Reach::Reached), false, 100, Status::Stale),
            (&|state| state.link = down(Reach::Unreached), true, 100, Status::Unreachable),
            (&|state| state.state = None, false, 100, Status::Connecting),
            (&|state| state.state = None, false, 131, Status::Stale),
            (&|state| state.link = Link::Connecting, false, 131, Status::Stale),
            (&|state| state.state = Some(said(Said::Idle)), false, 100, Status::Idle),
            (&|state| state.state = Some(said(Said::Stopped)), true, 100, Status::Stopped),
            (
                &|state| {
                    state.state = Some(said(Said::Stopped));
                    state.stopped = Some(stopped.clone());
                },
                false,
                100,
                Status::AutoStopped,
            ),
            (
                &|state| {
                    state.state.as_mut().unwrap().throttled_until = Some("1970-01-01T01:00:00.000Z".into())
                },
                false,
                100,
                Status::Throttled,
            ),
            (&|state| state.state.as_mut().unwrap().last_exit_code = Some(1), false, 100, Status::Failing),
            (&|state| killed(state, "grace_kill"), false, 100, Status::Working),
            (&|state| killed(state, "timeout"), false, 100, Status::Failing),
        ];
        for (number, (change, critical, now, expected)) in cases.into_iter().enumerate() {
            assert_eq!(of(&up(change), critical, at(now), stale_after), expected, "case {number}");
        }
    }

    #[test]
    fn a_machine_that_slept_sees_its_own_news_as_old() {
        let mut state = StreamState::new(None, at(100));
        state.link = Link::Up;
        state.state = Some(said(Said::Working));
        let woken = Moment { wall: at(5000).wall, mono: at(101).mono };
        assert_eq!(of(&state, false, woken, Duration::from_secs(30)), Status::Stale);
    }

    #[test]
    fn no_two_states_look_alike_without_colour() {
        let signs: std::collections::BTreeSet<_> = STRIP.iter().map(|status| status.sign()).collect();
        let words: std::collections::BTreeSet<_> = STRIP.iter().map(|status| status.word()).collect();
        assert_eq!((signs.len(), words.len()), (STRIP.len(), STRIP.len()));
    }
}
