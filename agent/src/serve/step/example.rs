//! A policy, one value of every state, and one or more of every input: what the tests of `step` are made of.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::types::{Schedule, TransientErrorAction};
use crate::config::window::Window;
use crate::error::Exit;
use crate::host::{Sample, Thresholds};
use crate::process::signals::StopSignal;
use crate::provider::throttle::{Throttle, Throttles};
use crate::serve::brake::{Brake, BrakePolicy};
use crate::serve::floor::{Floor, FloorPolicy, Nudge, Terminate, Tick};
use crate::serve::input::{BrakeWrite, Facts, Input, MemoryTick, Request, Scan, Started};
use crate::serve::policy::{Phase, Policy, Rounds, Turns};
use crate::serve::schedule::Calendar;
use crate::serve::sessions::Eyes;
use crate::serve::state::{
    BackingOff, Carried, Delaying, EndingRound, Judging, Loop, Now, RoundPlan, Rung, Running, State, Waiting,
    Wish,
};
use crate::store::layout::Layout;
use crate::store::record::Record;

/// Monday noon.
pub(super) const WALL: &str = "2026-01-05T12:00:00Z";

pub(super) fn now() -> Now {
    Now { wall: WALL.parse().unwrap(), mono: secs(1000) }
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn calendar(windows: &[&str]) -> Calendar {
    let run_windows = windows.iter().map(|text| Window::parse(text).unwrap()).collect();
    Calendar::new(Schedule { timezone: None, run_windows, pause_windows: Vec::new() }, TimeZone::UTC)
}

pub(super) fn phase(name: Option<&str>, windows: &[&str]) -> Phase {
    Phase {
        name: name.map(str::to_owned),
        agent: format!("agent-{}", name.unwrap_or("base")),
        ceiling: secs(2000),
        grace_s: 5,
        stop_signal: StopSignal::Term,
        resume_flag: None,
        terminate: Terminate::Round,
        calendar: calendar(windows),
    }
}

pub(super) fn policy() -> Policy {
    Policy {
        turns: Turns::Child,
        base: phase(None, &[]),
        phases: Vec::new(),
        action: TransientErrorAction::BackOff,
        max_rounds: None,
        rounds: Rounds::Endless,
        restart_delay: secs(3),
        fresh_eyes_every_n: None,
        floor: FloorPolicy {
            thresholds: Thresholds::EXAMPLE,
            critical_samples: 1,
            terminate: Terminate::Never,
            nudge: Nudge::Never,
            growth_mb_per_min: 512.0,
        },
        brake: Some(BrakePolicy { step_pct: 0, samples: 3 }),
        logs: Layout::new("/logs"),
        stop_file: Some("/work/STOP".into()),
    }
}

pub(super) fn calm() -> Sample {
    Sample { some_avg10: Some(0.0), full_avg10: Some(0.0), ..Sample::default() }
}

pub(super) fn critical() -> Sample {
    Sample { some_avg10: Some(90.0), full_avg10: Some(90.0), ..Sample::default() }
}

pub(super) fn facts() -> Facts {
    Facts {
        agent_done: None,
        stop_file: None,
        next_round: 8,
        throttles: Throttles::default(),
        sample: calm(),
        jitter_s: 5,
        fresh_id: "fresh".into(),
    }
}

/// Throttles with one agent throttled for so many seconds from now.
pub(super) fn throttles(agent: &str, ahead_s: i64) -> Throttles {
    let reset = now().wall.as_second() + ahead_s;
    let line = format!(
        r#"{{"event": "transient_error_detected", "agent": "{agent}", "classification": "x", "reset_at_epoch": {reset}}}"#
    );
    Throttles::fold(&[Record::parse(line.as_bytes()).unwrap()])
}

pub(super) fn plan() -> RoundPlan {
    RoundPlan {
        round_num: 8,
        phase: None,
        agent: None,
        ceiling: secs(2000),
        grace_s: 5,
        stop_signal: StopSignal::Term,
        eyes: Eyes::Used,
        session: None,
        terminate: Terminate::Round,
    }
}

pub(super) fn running() -> Running {
    Running {
        plan: plan(),
        pid: 4242,
        started: secs(900),
        next_tick: secs(1000),
        cancelled: false,
        floor: Floor::default(),
        brake: Brake::default(),
        pulling: None,
        accounting: None,
    }
}

pub(super) fn in_state(state: State) -> Loop {
    Loop { carried: Carried::default(), wish: Wish::GoOn, last_sample: None, state }
}

/// One of every state; deadlines are due.
pub(super) fn states() -> Vec<(&'static str, State)> {
    let throttle = Throttle {
        agent: "agent-base".into(),
        classification: "x".into(),
        since: None,
        reported_reset: None,
        repeats: 0,
    };
    let later: Timestamp = "2026-01-05T13:00:00Z".parse().unwrap();
    let over: Timestamp = "2026-01-05T11:00:00Z".parse().unwrap();
    let off =
        |until| State::BackingOff(BackingOff { throttle: throttle.clone(), until, recheck: secs(1000) });
    let waiting = Waiting { since: secs(900), recheck: secs(1000) };
    let ending = |rung| State::EndingRound(EndingRound { round: running(), rung, deadline: secs(1000) });
    let delaying = |until| State::Delaying(Delaying { until: secs(until), recheck: secs(1000) });
    vec![
        ("deciding", State::Deciding),
        ("backing off", off(later)),
        ("backing off, over", off(over)),
        ("deferred", State::Deferred(waiting)),
        ("paused", State::Paused(waiting)),
        ("starting", State::Starting(plan())),
        ("running", State::Running(running())),
        (
            "running, wedged",
            State::Running(Running { plan: RoundPlan { ceiling: secs(100), ..plan() }, ..running() }),
        ),
        ("ending, asked", ending(Rung::Asked)),
        ("ending, killed", ending(Rung::Killed)),
        (
            "judging",
            State::Judging(Judging { plan: plan(), exit_code: 0, duration: secs(600), accounting: None }),
        ),
        ("delaying", delaying(1500)),
        ("delaying, over", delaying(1000)),
        ("handing over", State::HandingOver(secs(2))),
        ("ended", State::Ended(Exit::Ok)),
    ]
}

/// One or more of every input.
pub(super) fn inputs() -> Vec<(&'static str, Input)> {
    let facts_with = |change: &dyn Fn(&mut Facts)| {
        let mut facts = facts();
        change(&mut facts);
        Input::Facts(Box::new(facts))
    };
    let tick = |sample| {
        let tick = Tick { sample, used: None };
        Input::MemoryTick(Box::new(MemoryTick { tick, ..MemoryTick::default() }))
    };
    vec![
        ("stop", Input::Request(Request::Stop)),
        ("cancel", Input::Request(Request::Cancel)),
        ("hand over", Input::Request(Request::HandOver)),
        ("doorbell", Input::Doorbell),
        ("timer", Input::Timer),
        ("facts: nothing special", facts_with(&|_| {})),
        ("facts: .agent-done", facts_with(&|facts| facts.agent_done = Some("done".into()))),
        ("facts: stop file", facts_with(&|facts| facts.stop_file = Some("enough".into()))),
        ("facts: throttled", facts_with(&|facts| facts.throttles = throttles("agent-base", 600))),
        ("facts: critical memory", facts_with(&|facts| facts.sample = critical())),
        ("stop file: there", Input::StopFile(Some("enough".into()))),
        ("stop file: none", Input::StopFile(None)),
        ("round started", Input::RoundStarted(Started { pid: 4242, reading: None })),
        ("round exited", Input::RoundExited(0)),
        ("memory: calm", tick(calm())),
        ("memory: critical", tick(critical())),
        ("brake written", Input::BrakeWritten(BrakeWrite::Done(secs(0)))),
        ("brake refused", Input::BrakeWritten(BrakeWrite::Failed(Some(13)))),
        ("log scanned", Input::Scanned(Box::default())),
        ("log scanned: memory", Input::Scanned(Box::new(Scan { mem_terminated: true, ..Scan::default() }))),
        ("hand-over failed", Input::HandOverFailed),
    ]
}
