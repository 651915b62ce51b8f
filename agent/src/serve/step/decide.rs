//! One iteration, in its fixed order: what ends the Loop, what holds it back, and the plan of the next round.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::types::TransientErrorAction;
use crate::error::Exit;
use crate::event::Event;
use crate::host::{Pressure, Sample, Severity, memory_verdict};
use crate::serve::action::Action;
use crate::serve::backoff;
use crate::serve::input::{Facts, Input};
use crate::serve::phases::{self, Candidate, Choice, Chosen, Closed};
use crate::serve::policy::{Phase, Policy, Turns};
use crate::serve::sessions::{Eyes, Session};
use crate::serve::state::{BackingOff, RoundPlan, State, Waiting};

use super::machine::{QUOTE_MAX, RECHECK, Step};

/// The reason in `agent_self_terminated` when a throttle ends the Loop.
const RATE_LIMIT: &str = "rate_limit";

pub(super) fn deciding(cx: &mut Step<'_>, input: Input) -> State {
    match input {
        Input::Facts(facts) => iterate(cx, &facts),
        Input::Request(_)
        | Input::Doorbell
        | Input::Timer
        | Input::StopFile(_)
        | Input::RoundStarted(_)
        | Input::RoundExited(_)
        | Input::MemoryTick(_)
        | Input::BrakeWritten(_)
        | Input::Scanned(_)
        | Input::HandOverFailed => State::Deciding,
    }
}

fn iterate(cx: &mut Step<'_>, facts: &Facts) -> State {
    if let Some(state) = cx.leave(Duration::ZERO) {
        return state;
    }
    if let Some(reason) = &facts.agent_done {
        let reason = reason.chars().take(QUOTE_MAX).collect();
        cx.emit(Event::AgentSelfTerminated { reason });
        return State::Ended(Exit::Ok);
    }
    if let Some(state) = throttle_gate(cx, facts) {
        return state;
    }
    if let Some(content) = &facts.stop_file {
        return cx.stop_file(content);
    }
    if let Some(max) = cx.policy.max_rounds.filter(|&max| cx.carried.rounds_completed >= max) {
        let max_rounds = i64::try_from(max).unwrap_or(i64::MAX);
        let rounds_completed = cx.rounds_completed();
        cx.emit(Event::MaxRoundsReached { rounds_completed, max_rounds });
        return State::Ended(Exit::Ok);
    }
    if let Some(pressure) = admission(cx, facts.sample) {
        cx.emit(Event::RoundDeferred {
            severity: pressure.severity.as_str().into(),
            signal: pressure.signal.as_str().into(),
            message: pressure.message,
        });
        return State::Deferred(Waiting { since: cx.now.mono, recheck: cx.recheck(RECHECK) });
    }
    match choose(cx.policy, facts, cx.now.wall) {
        Turn::Closed(closed) => pause(cx, &closed),
        Turn::Anything => start(cx, facts, None),
        Turn::Phase(chosen) => start(cx, facts, Some(chosen)),
    }
}

/// Who runs now.
pub(super) enum Turn {
    /// A round that finds its phase itself.
    Anything,
    /// This phase.
    Phase(Chosen),
    /// Nobody.
    Closed(Closed),
}

/// Applies schedule and rotation.
pub(super) fn choose(policy: &Policy, facts: &Facts, now: Timestamp) -> Turn {
    let throttles = match policy.turns {
        Turns::ChildAnytime => return Turn::Anything,
        Turns::Child => {
            return phases::closed_globally(&policy.base.calendar, now).map_or(Turn::Anything, Turn::Closed);
        }
        Turns::Wait => None,
        Turns::Skip => Some(&facts.throttles),
    };
    let rotation = policy.rotation(facts.next_round).map(|phase| Candidate {
        name: phase.name.as_deref().unwrap_or_default(),
        agent: &phase.agent,
        calendar: &phase.calendar,
    });
    let candidates: Vec<_> = rotation.take(if throttles.is_some() { usize::MAX } else { 1 }).collect();
    match phases::choose(&candidates, throttles, now) {
        Choice::Run(chosen) => Turn::Phase(chosen),
        Choice::Closed(closed) => Turn::Closed(closed),
    }
}

/// Judges memory before a round; only what is critical holds it back.
pub(super) fn admission(cx: &mut Step<'_>, sample: Sample) -> Option<Pressure> {
    let previous = cx.last_sample.replace(sample);
    memory_verdict(previous.as_ref(), &sample, &cx.policy.floor.thresholds)
        .filter(|pressure| pressure.severity == Severity::Critical)
}

/// Returns how long a closed schedule is expected to last.
pub(super) fn expected(closed: &Closed, now: Timestamp) -> Duration {
    let left = closed.ready_at.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
    left.unwrap_or(RECHECK)
}

fn throttle_gate(cx: &mut Step<'_>, facts: &Facts) -> Option<State> {
    if cx.policy.turns == Turns::Skip {
        // Stepping over a throttled phase sleeps for nobody, so nobody else tells the end of a throttle.
        let now = cx.now.wall;
        let over: Vec<_> =
            facts.throttles.unrecovered().filter(|throttle| !throttle.is_active(now)).collect();
        for throttle in over {
            cx.emit(backoff::recovered(throttle, now));
        }
        return None;
    }
    let throttle = facts.throttles.active(None, cx.now.wall)?;
    match cx.policy.action {
        TransientErrorAction::Skip => None,
        TransientErrorAction::Stop => {
            cx.emit(Event::AgentSelfTerminated { reason: RATE_LIMIT.into() });
            Some(State::Ended(Exit::Ok))
        }
        TransientErrorAction::BackOff => {
            if let Some(content) = &facts.stop_file {
                return Some(cx.stop_file(content));
            }
            let (until, events) = backoff::plan(throttle, cx.now.wall, facts.jitter_s);
            cx.actions.extend(events.into_iter().map(Action::Emit));
            let left = Duration::try_from(until.duration_since(cx.now.wall)).unwrap_or_default();
            Some(State::BackingOff(BackingOff {
                throttle: throttle.clone(),
                until,
                recheck: cx.recheck(left),
            }))
        }
    }
}

fn pause(cx: &mut Step<'_>, closed: &Closed) -> State {
    if closed.throttled && cx.policy.action == TransientErrorAction::Stop {
        cx.emit(Event::AgentSelfTerminated { reason: RATE_LIMIT.into() });
        return State::Ended(Exit::Ok);
    }
    cx.emit(Event::SchedulePaused {
        active_window: closed.active_window.clone(),
        resume_at: closed.resume_at.clone(),
        timezone: closed.timezone.clone(),
        phase: closed.phase.clone(),
    });
    let expected = expected(closed, cx.now.wall);
    State::Paused(Waiting { since: cx.now.mono, recheck: cx.recheck(expected) })
}

fn start(cx: &mut Step<'_>, facts: &Facts, chosen: Option<Chosen>) -> State {
    let round_num = facts.next_round;
    if let Some(chosen) = chosen.as_ref().filter(|chosen| !chosen.skipped.is_empty()) {
        cx.emit(Event::SchedulePhaseSkipped {
            round_num,
            skipped: chosen.skipped.clone(),
            chosen: chosen.phase.clone(),
            active_window: chosen.active_window.clone(),
        });
    }
    let plan = plan(cx, facts, chosen.map(|chosen| chosen.phase));
    cx.actions.push(Action::SubstrateBefore(round_num));
    if plan.eyes == Eyes::Fresh {
        let every_n = cx.policy.fresh_eyes_every_n.and_then(|n| i64::try_from(n).ok()).unwrap_or_default();
        cx.emit(Event::FreshEyesRoundTriggered { round_num, every_n });
    }
    if let Some(session) = plan.session.as_ref().filter(|session| session.is_resumed) {
        cx.emit(Event::SessionResumed { session_id: session.id.clone(), phase: plan.phase.clone() });
    }
    cx.actions.push(Action::StartRound(plan.clone()));
    State::Starting(plan)
}

fn plan(cx: &mut Step<'_>, facts: &Facts, name: Option<String>) -> RoundPlan {
    let policy = cx.policy;
    let round_num = facts.next_round;
    let chosen = name.as_deref().and_then(|name| policy.phase(name));
    // A round that finds its phase itself takes the one whose turn it is, so its manners are known all the same.
    let phase = chosen.or_else(|| policy.rotation(round_num).next()).unwrap_or(&policy.base);
    let eyes = policy.fresh_eyes_every_n.and_then(|n| i64::try_from(n).ok()).filter(|&n| n > 0);
    let eyes = if eyes.is_some_and(|n| round_num % n == 0) { Eyes::Fresh } else { Eyes::Used };
    RoundPlan {
        round_num,
        agent: chosen.filter(|_| policy.turns == Turns::Skip).map(|phase| phase.agent.clone()),
        ceiling: chosen.unwrap_or(&policy.base).ceiling,
        grace_s: phase.grace_s,
        stop_signal: phase.stop_signal,
        eyes,
        session: session(cx, phase, (&facts.fresh_id, eyes)),
        terminate: phase.terminate,
        phase: name,
    }
}

fn session(cx: &mut Step<'_>, phase: &Phase, fresh: (&str, Eyes)) -> Option<Session> {
    let serve_chooses = matches!(cx.policy.turns, Turns::Wait | Turns::Skip);
    let known = cx.policy.phases.is_empty() || serve_chooses;
    let flag = phase.resume_flag.as_deref().filter(|_| known)?;
    Some(cx.carried.sessions.next(phase.name.as_deref(), flag, fresh))
}
