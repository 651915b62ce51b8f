//! One fold over everything that happens: streams' lines, links, stops and the passing of time. Pure.

use std::time::Duration;

use agent_runner::store::follow::Cursor;
use agent_runner::store::time::stamp;
use agent_runner::witness::alert::{Alert, AutoAction, Severity};
use agent_runner::witness::stream::StreamLine;
use agent_runner_inventory::Monitor;
use serde_json::{Map, Value};

use super::brake::Brake;
use super::state::{Fleet, Link, Moment, OpenAlert, Reach, Stop, StreamId, StreamState, Told};

/// Time after which an unconfirmed stop is asked for again: a stop is only confirmed once the round has drained.
pub const STOP_AGAIN: Duration = Duration::from_secs(15);

/// The controller's own detector: a host is reached but says nothing.
pub const HOST_STALE: &str = "host_stale";
/// The controller's own detector: a host cannot be reached.
pub const HOST_UNREACHABLE: &str = "host_unreachable";

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A stream's connection stands.
    Connected(StreamId),
    /// A stream's line.
    Line(StreamId, Box<StreamLine>),
    /// A stream's connection is gone.
    Lost(StreamId, String, Reach),
    /// A stop was confirmed.
    Stopped(StreamId, String),
    /// A stop failed.
    StopFailed(StreamId, String, String),
    /// Time passed.
    Tick,
}

impl Fleet {
    /// Returns a fleet of streams of which nothing is known yet.
    pub fn new(streams: impl IntoIterator<Item = StreamId>, policy: &Monitor, now: Moment) -> Fleet {
        let fresh = StreamState {
            link: Link::Connecting,
            last_data: now,
            hello: None,
            state: None,
            cursor: None,
            alerts: Default::default(),
            named_again: None,
        };
        let streams: std::collections::BTreeMap<_, _> =
            streams.into_iter().map(|stream| (stream, fresh.clone())).collect();
        let hosts: std::collections::BTreeSet<_> = streams.keys().map(|stream| stream.host.clone()).collect();
        let brake = Brake::new(policy.brake, hosts.len());
        Fleet { streams, brake }
    }
}

/// Folds one input into the fleet and returns what it made known, in order.
pub fn fold(fleet: &mut Fleet, input: Input, policy: &Monitor, now: Moment) -> Vec<Told> {
    let mut step = Step { policy, now, told: Vec::new() };
    let Fleet { streams, brake } = fleet;
    match input {
        Input::Tick => {
            for (stream, state) in streams.iter_mut() {
                step.look(stream, state);
                step.stops(stream, state, brake);
            }
        }
        Input::Connected(stream) => {
            if let Some(state) = streams.get_mut(&stream) {
                state.link = Link::Up;
                step.told.push(Told::LinkUp { stream });
            }
        }
        Input::Line(stream, line) => {
            if let Some(state) = streams.get_mut(&stream) {
                state.last_data = now;
                step.look(&stream, state);
                step.line(&stream, state, *line);
                step.stops(&stream, state, brake);
            }
        }
        Input::Lost(stream, reason, reach) => {
            if let Some(state) = streams.get_mut(&stream) {
                let was_up = state.link == Link::Up;
                state.link = Link::Down { reason: reason.clone(), reach };
                if was_up || reach == Reach::Unreached {
                    step.told.push(Told::LinkDown { stream, reason });
                }
            }
        }
        Input::Stopped(stream, identity) => step.answered(streams.get_mut(&stream), stream, identity, None),
        Input::StopFailed(stream, identity, reason) => {
            step.answered(streams.get_mut(&stream), stream, identity, Some(reason));
        }
    }
    step.told
}

struct Step<'a> {
    policy: &'a Monitor,
    now: Moment,
    told: Vec<Told>,
}

impl Step<'_> {
    fn line(&mut self, stream: &StreamId, state: &mut StreamState, line: StreamLine) {
        match line {
            StreamLine::Hello(hello) => {
                state.hello = Some(hello);
                state.named_again = Some(Default::default());
            }
            StreamLine::Heartbeat { .. } => {}
            StreamLine::State(new) => {
                self.ended_unheard(stream, state);
                if state.state.as_ref() != Some(&new) {
                    state.state = Some(new.clone());
                    self.told.push(Told::State { stream: stream.clone(), state: new });
                }
            }
            StreamLine::Event { cursor, event } => {
                if is_new(state.cursor.as_ref(), &cursor) {
                    state.cursor = Some(cursor.clone());
                    self.told.push(Told::Event { stream: stream.clone(), cursor, event });
                }
            }
            StreamLine::Alert { identity, alert } => {
                if let Some(named) = &mut state.named_again {
                    named.insert(identity.clone());
                }
                self.fire(stream, state, identity, alert);
            }
            StreamLine::Resolved { identity, .. } => self.resolve(stream, state, &identity),
        }
    }

    /// Opens an alert, once; an open one takes the newest wording.
    fn fire(&mut self, stream: &StreamId, state: &mut StreamState, identity: String, alert: Alert) {
        let by_host = state.hello.as_ref().is_some_and(|hello| hello.monitor_active);
        let listed = self.policy.auto_stop.contains(&alert.detector);
        let ours = alert.auto_action == AutoAction::StopService && listed && !by_host;
        let stop = if ours { Stop::Due } else { Stop::NotOurs };
        if let Some(open) = state.alerts.get_mut(&identity) {
            // New evidence may turn an alert that only warned into one that wants a stop.
            if open.stop == Stop::NotOurs {
                open.stop = stop;
            }
            open.alert = alert;
            return;
        }
        self.told.push(Told::Fired {
            stream: stream.clone(),
            identity: identity.clone(),
            alert: alert.clone(),
        });
        state.alerts.insert(identity, OpenAlert { alert, since: self.now, stop });
    }

    fn resolve(&mut self, stream: &StreamId, state: &mut StreamState, identity: &str) {
        if let Some(open) = state.alerts.remove(identity) {
            let firing = self.now.mono.saturating_sub(open.since.mono).as_secs();
            self.told.push(Told::Resolved {
                stream: stream.clone(),
                identity: identity.to_owned(),
                detector: open.alert.detector,
                firing_for_s: i64::try_from(firing).unwrap_or(i64::MAX),
            });
        }
    }

    /// Resolves the host's alerts that ended while the connection was gone: after a hello it names those that still
    /// fire, then its state.
    fn ended_unheard(&mut self, stream: &StreamId, state: &mut StreamState) {
        let Some(named) = state.named_again.take() else { return };
        let own = [HOST_STALE, HOST_UNREACHABLE];
        let ended: Vec<String> = state
            .alerts
            .keys()
            .filter(|identity| !named.contains(*identity) && !own.contains(&identity.as_str()))
            .cloned()
            .collect();
        for identity in ended {
            self.resolve(stream, state, &identity);
        }
    }

    /// Judges a stream by the age of its data: silence is never shown as up.
    fn look(&mut self, stream: &StreamId, state: &mut StreamState) {
        let age = self.now.mono.saturating_sub(state.last_data.mono);
        let silent = age >= Duration::from_secs(self.policy.stale_after_s);
        let unreached = matches!(state.link, Link::Down { reach: Reach::Unreached, .. });
        let firing = match (silent, unreached) {
            (false, _) => None,
            (true, false) => Some((HOST_STALE, Severity::Warning)),
            (true, true) => Some((HOST_UNREACHABLE, Severity::Critical)),
        };
        for detector in [HOST_STALE, HOST_UNREACHABLE] {
            if firing.is_none_or(|(name, _)| name != detector) {
                self.resolve(stream, state, detector);
            }
        }
        if let Some((detector, severity)) = firing {
            let why = match &state.link {
                Link::Down { reason, .. } => format!(": {reason}"),
                Link::Up | Link::Connecting => String::new(),
            };
            let context = Map::from_iter([
                ("age_s".to_owned(), Value::from(age.as_secs())),
                ("threshold_s".to_owned(), Value::from(self.policy.stale_after_s)),
            ]);
            let alert = Alert {
                severity,
                detector: detector.to_owned(),
                message: format!("no data for {} s{why}", age.as_secs()),
                context,
                ts: stamp(self.now.wall),
                auto_action: AutoAction::None,
            };
            self.fire(stream, state, detector.to_owned(), alert);
        }
    }

    /// Asks for the stops that open alerts want, never on stale data and never past the brake.
    fn stops(&mut self, stream: &StreamId, state: &mut StreamState, brake: &mut Brake) {
        let fresh = state.link == Link::Up && !state.alerts.contains_key(HOST_STALE);
        if !fresh {
            return;
        }
        for (identity, open) in &mut state.alerts {
            let wanted = match open.stop {
                Stop::NotOurs | Stop::HeldBack | Stop::Done => continue,
                // One incident takes one place on the brake, however often the stop is asked for.
                Stop::Asked { at } => self.now.mono.saturating_sub(at) >= STOP_AGAIN,
                Stop::Due if brake.take(self.now.mono) => true,
                Stop::Due => {
                    open.stop = Stop::HeldBack;
                    self.told.push(Told::BrakeEngaged {
                        stream: stream.clone(),
                        detector: open.alert.detector.clone(),
                    });
                    false
                }
            };
            if wanted {
                open.stop = Stop::Asked { at: self.now.mono };
                self.told.push(Told::StopWanted {
                    stream: stream.clone(),
                    identity: identity.clone(),
                    detector: open.alert.detector.clone(),
                });
            }
        }
    }

    fn answered(
        &mut self,
        state: Option<&mut StreamState>,
        stream: StreamId,
        identity: String,
        failure: Option<String>,
    ) {
        let Some(open) = state.and_then(|state| state.alerts.get_mut(&identity)) else { return };
        let detector = open.alert.detector.clone();
        self.told.push(match failure {
            None => {
                open.stop = Stop::Done;
                Told::Stopped { stream, detector }
            }
            Some(reason) => Told::StopFailed { stream, detector, reason },
        });
    }
}

/// Returns whether an event lies behind everything told so far. Months sort by their name.
fn is_new(last: Option<&Cursor>, cursor: &Cursor) -> bool {
    last.is_none_or(|last| cursor > last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_runner::witness::stream::{Hello, State};
    use agent_runner_inventory::Share;
    use jiff::Timestamp;

    fn policy() -> Monitor {
        Monitor { auto_stop: vec!["oauth_fail".into()], brake: Share::Percent(50), stale_after_s: 30 }
    }

    fn id(host: &str) -> StreamId {
        StreamId { host: host.into(), project: "p".into() }
    }

    fn at(seconds: u64) -> Moment {
        Moment { wall: Timestamp::UNIX_EPOCH, mono: Duration::from_secs(seconds) }
    }

    fn hello(monitor_active: bool) -> StreamLine {
        StreamLine::Hello(Hello {
            protocol: 1,
            version: "0.1.0".into(),
            project: "p".into(),
            boot_id: "b".into(),
            at: stamp(Timestamp::UNIX_EPOCH),
            monitor_active,
            auto_stop_on: Vec::new(),
            cursor: None,
        })
    }

    fn state(active: bool) -> StreamLine {
        StreamLine::State(State {
            active,
            round_num: Some(3),
            phase: None,
            running: false,
            since: None,
            last_exit_code: Some(0),
            last_duration_s: None,
            disk_used_pct: None,
            throttled_until: None,
        })
    }

    fn alert(detector: &str, auto_action: AutoAction) -> StreamLine {
        let alert = Alert {
            severity: Severity::Critical,
            detector: detector.into(),
            message: "3/10 failed auth".into(),
            context: Map::new(),
            ts: stamp(Timestamp::UNIX_EPOCH),
            auto_action,
        };
        StreamLine::Alert { identity: detector.into(), alert }
    }

    fn event(offset: u64) -> StreamLine {
        let cursor = Cursor { file: "events-2026-01.jsonl".into(), offset };
        StreamLine::Event { cursor, event: serde_json::json!({"event": "round_end"}) }
    }

    /// Folds lines of one host, a second apart, and names what they made known.
    fn names(fleet: &mut Fleet, host: &str, from: u64, lines: Vec<StreamLine>) -> Vec<String> {
        let mut names = Vec::new();
        for (second, line) in (from..).zip(lines) {
            let told = fold(fleet, Input::Line(id(host), Box::new(line)), &policy(), at(second));
            names.extend(told.iter().map(name));
        }
        names
    }

    fn name(told: &Told) -> String {
        match told {
            Told::Event { cursor, .. } => format!("event {}", cursor.offset),
            Told::Fired { identity, .. } => format!("fired {identity}"),
            Told::Resolved { identity, .. } => format!("resolved {identity}"),
            Told::State { .. } => "state".into(),
            Told::LinkUp { .. } => "up".into(),
            Told::LinkDown { .. } => "down".into(),
            Told::StopWanted { .. } => "stop".into(),
            Told::Stopped { .. } => "stopped".into(),
            Told::StopFailed { .. } => "stop failed".into(),
            Told::BrakeEngaged { .. } => "brake".into(),
        }
    }

    fn fleet(hosts: &[&str]) -> Fleet {
        let mut fleet = Fleet::new(hosts.iter().map(|host| id(host)), &policy(), at(0));
        for host in hosts {
            fold(&mut fleet, Input::Connected(id(host)), &policy(), at(0));
        }
        fleet
    }

    #[test]
    fn a_replayed_event_is_told_once() {
        let mut fleet = fleet(&["a"]);
        assert_eq!(
            names(&mut fleet, "a", 0, vec![event(10), event(20), event(10), event(20), event(30)]),
            ["event 10", "event 20", "event 30"]
        );
    }

    #[test]
    fn the_controller_stops_only_where_no_monitor_does_and_only_what_is_listed() {
        let stop = |detector| alert(detector, AutoAction::StopService);
        let mut one = fleet(&["a"]);
        assert_eq!(
            names(&mut one, "a", 0, vec![hello(false), stop("oauth_fail")]),
            ["fired oauth_fail", "stop"]
        );
        let mut two = fleet(&["a"]);
        assert_eq!(names(&mut two, "a", 0, vec![hello(true), stop("oauth_fail")]), ["fired oauth_fail"]);
        let mut three = fleet(&["a"]);
        assert_eq!(
            names(&mut three, "a", 0, vec![hello(false), stop("disk_critical")]),
            ["fired disk_critical"]
        );
    }

    #[test]
    fn an_alert_that_only_warned_may_come_to_want_a_stop() {
        let mut fleet = fleet(&["a"]);
        let warned = vec![hello(false), alert("oauth_fail", AutoAction::None)];
        assert_eq!(names(&mut fleet, "a", 0, warned), ["fired oauth_fail"]);
        assert_eq!(names(&mut fleet, "a", 5, vec![alert("oauth_fail", AutoAction::StopService)]), ["stop"]);
    }

    #[test]
    fn an_unconfirmed_stop_is_asked_for_again_and_a_confirmed_one_is_not() {
        let mut fleet = fleet(&["a"]);
        names(&mut fleet, "a", 0, vec![hello(false), alert("oauth_fail", AutoAction::StopService)]);
        let later = at(1 + STOP_AGAIN.as_secs());
        fold(&mut fleet, Input::Line(id("a"), Box::new(state(true))), &policy(), at(15));
        let again = fold(&mut fleet, Input::Tick, &policy(), later);
        assert_eq!(again.iter().map(name).collect::<Vec<_>>(), ["stop"]);
        fold(&mut fleet, Input::Stopped(id("a"), "oauth_fail".into()), &policy(), later);
        assert!(fold(&mut fleet, Input::Tick, &policy(), at(29)).is_empty());
    }

    #[test]
    fn the_brake_holds_back_what_would_be_too_many() {
        let mut fleet = fleet(&["a", "b", "c"]);
        let lines = || vec![hello(false), alert("oauth_fail", AutoAction::StopService)];
        assert_eq!(names(&mut fleet, "a", 0, lines()), ["fired oauth_fail", "stop"]);
        assert_eq!(names(&mut fleet, "b", 2, lines()), ["fired oauth_fail", "brake"]);
    }

    #[test]
    fn silence_is_stale_then_unreachable_and_data_ends_both() {
        let mut fleet = fleet(&["a"]);
        names(&mut fleet, "a", 0, vec![hello(false), state(true)]);
        let mut tick = |input, second| {
            fold(&mut fleet, input, &policy(), at(second)).iter().map(name).collect::<Vec<_>>()
        };
        assert!(tick(Input::Tick, 30).is_empty());
        assert_eq!(tick(Input::Tick, 31), ["fired host_stale"]);
        assert_eq!(tick(Input::Lost(id("a"), "timeout".into(), Reach::Unreached), 40), ["down"]);
        assert_eq!(tick(Input::Tick, 41), ["resolved host_stale", "fired host_unreachable"]);
        assert!(tick(Input::Tick, 50).is_empty());
        assert_eq!(tick(Input::Connected(id("a")), 60), ["up"]);
        assert_eq!(tick(Input::Line(id("a"), Box::new(hello(false))), 61), ["resolved host_unreachable"]);
    }

    #[test]
    fn what_ended_while_the_link_was_down_is_resolved_after_the_hello() {
        let mut fleet = fleet(&["a"]);
        let open = vec![hello(true), alert("hung", AutoAction::None), alert("oauth_fail", AutoAction::None)];
        names(&mut fleet, "a", 0, open);
        let again = vec![hello(true), alert("hung", AutoAction::None), state(true)];
        assert_eq!(names(&mut fleet, "a", 5, again), ["resolved oauth_fail", "state"]);
    }
}
