//! One fold over everything that happens: streams' lines, links, stops, people's words and the passing of time. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_runner::store::follow::Cursor;
use agent_runner::store::time;
use agent_runner::witness::alert::{Alert, AutoAction};
use agent_runner::witness::stream::{Hello, StreamLine};
use agent_runner_inventory::Monitor;
use serde_json::Value;

use super::alert::{Ack, Key};
use super::bounded;
use super::brake::Brake;
use super::detectors::observe;
use super::life::Rules;
use super::silence::Silence;
use super::state::{
    AutoStopped, Fleet, LeftStops, Link, Moment, Naming, Nuisance, OpenAlert, Reach, Silent, SinkHealth,
    Stop, StopFailure, StreamId, StreamState,
};
use super::told::{StoppedBy, Told};

/// Time after which an unconfirmed stop is asked for again: a stop is only confirmed once the round has drained.
/// One that fails is asked for again after twice the pause each time.
pub const STOP_AGAIN: Duration = Duration::from_secs(15);
/// The longest pause between two attempts at a stop that fails.
pub const STOP_AGAIN_AT_LAST: Duration = Duration::from_secs(600);
/// How long after its first state a host may take to name the alerts that still fire.
const NAMING: Duration = Duration::from_secs(3);
/// Alerts one host may have open for one project; a healthy agent has a handful.
pub const MAX_ALERTS: usize = 64;
/// The longest name of a detector or identity that is taken from a host, in bytes.
const MAX_NAME: usize = 512;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The host let us in; the stream may still say nothing.
    Reached(StreamId),
    /// A stream's first line came.
    Connected(StreamId),
    /// A stream's line.
    Line(StreamId, Box<StreamLine>),
    /// A line that is none, cut to a few words.
    Garbled(StreamId, String),
    /// A host sent more than is read.
    Flooded(StreamId, String),
    /// A stream's connection is gone.
    Lost(StreamId, String, Reach),
    /// A stop was confirmed.
    Stopped(StreamId, String),
    /// A stop was accepted; the service still drains its round.
    Draining(StreamId, String),
    /// A stop failed.
    StopFailed(StreamId, String, String),
    /// Somebody took note of an alert, or took that back.
    Acknowledged(Key, Option<Ack>),
    /// The silences that there are now.
    Silences(Arc<Vec<Silence>>),
    /// How a sink is now.
    Sink(SinkHealth),
    /// Time passed.
    Tick,
}

/// Folds one input into the fleet and returns what it made known, in order.
pub fn fold(fleet: &mut Fleet, input: Input, policy: &Monitor, now: Moment) -> Vec<Told> {
    fleet.now = now;
    let mut step = Step { policy, now, told: Vec::new(), judge: false };
    let Fleet { streams, brake, .. } = fleet;
    match input {
        Input::Tick => {
            step.judge = true;
            for (stream, state) in streams.iter_mut() {
                if step.is_idle(state) {
                    continue;
                }
                let state = Arc::make_mut(state);
                step.look(state);
                step.ended_unheard(state);
                step.stops(stream, state, brake);
            }
        }
        Input::Reached(stream) => {
            if let Some(StreamState { link: Link::Down { reach, .. }, .. }) = of(streams, &stream) {
                *reach = Reach::Reached;
            }
        }
        Input::Connected(stream) => {
            if let Some(state) = of(streams, &stream) {
                state.link = Link::Up;
                state.cursor_here = None;
                step.told.push(Told::LinkUp { stream });
            }
        }
        Input::Line(stream, line) => {
            if let Some(state) = of(streams, &stream) {
                state.last_data = now;
                step.look(state);
                step.ended_unheard(state);
                step.line(&stream, state, *line);
                step.stops(&stream, state, brake);
            }
        }
        Input::Garbled(stream, what) => {
            if let Some(state) = of(streams, &stream) {
                step.judge |= nuisance(&mut state.garbled, what, now);
            }
        }
        Input::Flooded(stream, what) => {
            if let Some(state) = of(streams, &stream) {
                step.judge |= nuisance(&mut state.flooded, what, now);
            }
        }
        Input::Lost(stream, reason, reach) => {
            if let Some(state) = of(streams, &stream) {
                let before = std::mem::replace(&mut state.link, Link::Down { reason: reason.clone(), reach });
                // A host that lets us in and gives no stream is told of once, not at every attempt.
                let known = matches!(before, Link::Down { reason: before, .. } if before == reason);
                if !known || reach == Reach::Unreached {
                    step.told.push(Told::LinkDown { stream, reason });
                }
            }
        }
        Input::Stopped(stream, identity) => {
            step.answered(of(streams, &stream), (stream, identity), Answer::Stopped);
        }
        Input::Draining(stream, identity) => {
            step.answered(of(streams, &stream), (stream, identity), Answer::Draining);
        }
        Input::StopFailed(stream, identity, reason) => {
            step.answered(of(streams, &stream), (stream, identity), Answer::Failed(reason));
        }
        Input::Acknowledged(key, ack) => step.told.extend(fleet.alerts.acknowledge(&key, ack)),
        Input::Silences(silences) => {
            step.judge = fleet.silences != silences;
            fleet.silences = silences;
        }
        Input::Sink(health) => {
            let sinks = Arc::make_mut(&mut fleet.sinks);
            match sinks.iter_mut().find(|sink| sink.name == health.name) {
                Some(known) => *known = health,
                None => sinks.push(health),
            }
        }
    }
    let Step { mut told, judge, .. } = step;
    if judge {
        let rules = Rules::of(policy);
        let seen = observe(fleet, policy, &rules);
        told.extend(fleet.alerts.advance(&seen, &fleet.silences, &rules, now.wall));
        // First what is wrong, then what is done about it.
        told.sort_by_key(|one| matches!(one, Told::StopWanted { .. } | Told::BrakeEngaged { .. }));
    }
    told
}

fn of<'a>(
    streams: &'a mut BTreeMap<StreamId, Arc<StreamState>>,
    stream: &StreamId,
) -> Option<&'a mut StreamState> {
    streams.get_mut(stream).map(Arc::make_mut)
}

/// Counts one more; returns whether it is news.
fn nuisance(known: &mut Option<Nuisance>, what: String, now: Moment) -> bool {
    let count = known.as_ref().map_or(0, |nuisance| nuisance.count);
    let news = known.is_none();
    *known = Some(Nuisance { count: count.saturating_add(1), last: now.mono, what });
    news
}

/// What came of a stop.
enum Answer {
    Stopped,
    Draining,
    Failed(String),
}

struct Step<'a> {
    policy: &'a Monitor,
    now: Moment,
    told: Vec<Told>,
    /// Whether alerts may have changed.
    judge: bool,
}

impl Step<'_> {
    fn line(&mut self, stream: &StreamId, state: &mut StreamState, line: StreamLine) {
        match line {
            StreamLine::Hello(hello) => self.hello(stream, state, hello),
            StreamLine::Heartbeat { at } => self.clock(state, &at),
            StreamLine::State(mut new) => {
                new.cannot_judge = bounded::blind(new.cannot_judge);
                let first = state.naming.as_mut().is_some_and(|naming| {
                    let first = naming.state_at.is_none();
                    naming.state_at.get_or_insert(self.now.mono);
                    first
                });
                // A line from before the stop may still be on its way: only a change, or a first word, is a return.
                let was_active = !first && state.state.as_ref().is_some_and(|before| before.active);
                if new.active && !was_active && state.stopped.take().is_some() {
                    self.told.push(Told::Resumed { stream: stream.clone() });
                    self.judge = true;
                }
                if state.state.as_ref() != Some(&new) {
                    state.trend.take_state(&new, self.now.wall);
                    state.state = Some(new.clone());
                    self.told.push(Told::State { stream: stream.clone(), state: new });
                }
            }
            StreamLine::Event { cursor, event } => self.event(stream, state, (cursor, event)),
            StreamLine::Alert { identity, alert } => {
                let room = state.alerts.len() < MAX_ALERTS || state.alerts.contains_key(&identity);
                if !room || identity.len() > MAX_NAME || alert.detector.len() > MAX_NAME {
                    let what = format!(
                        "too many alerts at a time, or one with too long a name: {}",
                        alert.severity.as_str()
                    );
                    self.judge |= nuisance(&mut state.garbled, what, self.now);
                    return;
                }
                if let Some(naming) = &mut state.naming {
                    naming.named.insert(identity.clone());
                }
                self.open(state, identity, bounded::alert(alert));
            }
            StreamLine::Resolved { identity, .. } => {
                if let Some(naming) = &mut state.naming {
                    naming.named.remove(&identity);
                }
                self.judge |= state.alerts.remove(&identity).is_some();
            }
        }
    }

    fn hello(&mut self, stream: &StreamId, state: &mut StreamState, hello: Hello) {
        let before = state.hello.as_ref().map(|before| &before.boot_id);
        if before.is_some_and(|before| !before.is_empty() && *before != hello.boot_id) {
            self.told.push(Told::Rebooted { stream: stream.clone() });
        }
        self.clock(state, &hello.at);
        // What this connection tells lies behind that place, unless the log has become shorter meanwhile.
        state.cursor_here.clone_from(&hello.cursor);
        state.naming = Some(Naming::default());
        state.hello = Some(hello);
    }

    fn clock(&mut self, state: &mut StreamState, at: &str) {
        if let Some(at) = time::parse(at) {
            state.skew_s = Some(at.as_second() - self.now.wall.as_second());
        }
    }

    /// Tells an event once. A place at or before what is known is a replay, unless this very connection was already
    /// past it (then the host began its log anew, or its clock went back to a month that was), or its file is another one.
    fn event(&mut self, stream: &StreamId, state: &mut StreamState, (cursor, event): (Cursor, Value)) {
        let begun_anew = state.cursor_here.as_ref().is_some_and(|here| !cursor.is_behind(here));
        let follows = |last: &Cursor| cursor.is_behind(last) || cursor.is_in_another_file_than(last);
        let new = begun_anew || state.cursor.as_ref().is_none_or(follows);
        state.cursor_here = Some(cursor.clone());
        if !new {
            return;
        }
        state.cursor = Some(cursor.clone());
        state.rounds.take(&event, self.now.wall);
        state.trend.take_event(&event, self.now.wall);
        let stopped = (event.get("event").and_then(Value::as_str) == Some("monitor_auto_stop_triggered"))
            .then(|| event.get("detector").and_then(Value::as_str).unwrap_or_default().to_owned());
        self.told.push(Told::Event { stream: stream.clone(), cursor, event });
        // The controller's own stop writes the same event: it is known already.
        if let Some(detector) = stopped.filter(|_| state.stopped.is_none()) {
            let ours = state.alerts.values().any(|open| matches!(open.stop, Stop::Asked { .. } | Stop::Done));
            if !ours {
                self.stopped(stream, state, (detector, StoppedBy::Host));
            }
        }
    }

    fn stopped(&mut self, stream: &StreamId, state: &mut StreamState, (detector, by): (String, StoppedBy)) {
        state.stopped = Some(AutoStopped { detector: detector.clone(), at: self.now.wall, by });
        self.told.push(Told::Stopped { stream: stream.clone(), detector, by });
        self.judge = true;
    }

    /// Opens an alert of the host; an open one takes the newest wording.
    fn open(&mut self, state: &mut StreamState, identity: String, alert: Alert) {
        let listed = self.policy.auto_stop.contains(&alert.detector);
        let ours = alert.auto_action == AutoAction::StopService && listed && !state.monitor_active();
        let stop = if !ours {
            Stop::NotOurs
        } else if state.left.held_back {
            // A person decides, now as before this run.
            Stop::HeldBack
        } else {
            Stop::Due
        };
        self.judge = true;
        if let Some(open) = state.alerts.get_mut(&identity) {
            // New evidence may turn an alert that only warned into one that wants a stop.
            if open.stop == Stop::NotOurs {
                open.stop = stop;
            }
            open.alert = alert;
            return;
        }
        let failure = if stop == Stop::Due { state.left.failure.clone() } else { None };
        state.alerts.insert(identity, OpenAlert { alert, stop, failure });
    }

    /// Ends the host's alerts that ended while the connection was gone: those it has not named around its state.
    fn ended_unheard(&mut self, state: &mut StreamState) {
        if !self.is_named(state) {
            return;
        }
        let Some(naming) = state.naming.take() else { return };
        let before = state.alerts.len();
        state.alerts.retain(|identity, _| naming.named.contains(identity));
        self.judge |= !state.spoken || state.alerts.len() != before;
        state.spoken = true;
        state.left = LeftStops::default();
    }

    fn is_named(&self, state: &StreamState) -> bool {
        let since = state.naming.as_ref().and_then(|naming| naming.state_at);
        since.is_some_and(|at| self.now.mono.saturating_sub(at) >= NAMING)
    }

    /// Returns whether the passing of time changes nothing for a stream: most of them, most of the time.
    fn is_idle(&self, state: &StreamState) -> bool {
        self.silence(state) == state.silent
            && !self.is_named(state)
            && state
                .alerts
                .values()
                .all(|open| matches!(open.stop, Stop::NotOurs | Stop::HeldBack | Stop::Done))
    }

    /// Judges a stream by the age of its data: silence is never shown as up.
    fn look(&mut self, state: &mut StreamState) {
        let silent = self.silence(state);
        self.judge |= silent != state.silent;
        state.silent = silent;
    }

    fn silence(&self, state: &StreamState) -> Option<Silent> {
        let age = self.now.mono.saturating_sub(state.last_data.mono);
        let unreached = matches!(state.link, Link::Down { reach: Reach::Unreached, .. });
        (age >= Duration::from_secs(self.policy.stale_after_s)).then_some(if unreached {
            Silent::Unreachable
        } else {
            Silent::Stale
        })
    }

    /// Asks for the stops that open alerts want, never on stale data and never past the brake.
    fn stops(&mut self, stream: &StreamId, state: &mut StreamState, brake: &mut Brake) {
        if state.link != Link::Up || state.silent.is_some() {
            return;
        }
        let by_host = state.monitor_active();
        for (identity, open) in &mut state.alerts {
            let detector = open.alert.detector.clone();
            let waits = open.stop == Stop::Due || open.failure.is_some();
            let wanted = match open.stop {
                Stop::NotOurs | Stop::HeldBack | Stop::Done => continue,
                // A monitor came up on the host meanwhile: it is its business.
                Stop::Due | Stop::Asked { .. } if by_host && waits => {
                    open.stop = Stop::NotOurs;
                    self.judge |= open.failure.take().is_some();
                    continue;
                }
                // One host takes one place on the brake, however often a stop is asked for.
                Stop::Asked { at } => self.now.mono.saturating_sub(at) >= pause(open.failure.as_ref()),
                Stop::Due if brake.take(self.now.mono, &stream.host) => true,
                Stop::Due => {
                    open.stop = Stop::HeldBack;
                    open.failure = None;
                    self.judge = true;
                    self.told.push(Told::BrakeEngaged { stream: stream.clone(), detector: detector.clone() });
                    false
                }
            };
            if wanted {
                open.stop = Stop::Asked { at: self.now.mono };
                let (stream, identity) = (stream.clone(), identity.clone());
                self.told.push(Told::StopWanted { stream, identity, detector });
            }
        }
    }

    fn answered(
        &mut self,
        state: Option<&mut StreamState>,
        (stream, identity): (StreamId, String),
        answer: Answer,
    ) {
        let Some(state) = state else { return };
        let Some(open) = state.alerts.get_mut(&identity) else { return };
        let detector = open.alert.detector.clone();
        let before = open.failure.take();
        self.judge |= before.is_some();
        match answer {
            Answer::Stopped => {
                open.stop = Stop::Done;
                self.stopped(&stream, state, (detector, StoppedBy::Controller));
            }
            Answer::Draining => {}
            // An attempt that another one has overtaken says nothing any more.
            Answer::Failed(_) if !matches!(open.stop, Stop::Asked { .. }) => {}
            Answer::Failed(reason) => {
                let reason = bounded::text(reason);
                let times = before.as_ref().map_or(0, |before| before.times).saturating_add(1);
                open.stop = Stop::Asked { at: self.now.mono };
                open.failure = Some(StopFailure { reason: reason.clone(), times });
                self.judge = true;
                // The same again is no news: the alert stands.
                if before.is_none_or(|before| before.reason != reason) {
                    self.told.push(Told::StopFailed { stream, detector, reason });
                }
            }
        }
    }
}

/// Returns how long a stop that was asked for is waited for.
fn pause(failure: Option<&StopFailure>) -> Duration {
    let doublings = failure.map_or(0, |failure| failure.times.saturating_sub(1));
    let grown = 2_u32.checked_pow(doublings).and_then(|factor| STOP_AGAIN.checked_mul(factor));
    grown.map_or(STOP_AGAIN_AT_LAST, |grown| grown.min(STOP_AGAIN_AT_LAST))
}

impl Rules {
    /// Returns what the inventory says.
    pub fn of(policy: &Monitor) -> Rules {
        let seconds = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Rules { for_s: seconds(policy.for_s), repeat_s: seconds(policy.repeat_s) }
    }
}
