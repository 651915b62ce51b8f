//! What a watch of a fleet begins with: the inventory, and what an earlier run left. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use agent_runner::store::follow::Cursor;
use agent_runner_inventory::Monitor;
use jiff::Timestamp;
use serde_json::Value;

use super::alert::Subject;
use super::brake::Brake;
use super::coverage::is_gone;
use super::detectors;
use super::life::Alerts;
use super::silence::Silence;
use super::state::{AutoStopped, Fleet, HostFacts, LeftStops, Moment, StreamId, StreamState};

/// What a fleet begins with: the inventory, and what an earlier run left.
#[derive(Debug, Clone, Default)]
pub struct Beginning {
    /// The fleet's name.
    pub name: Arc<str>,
    /// Every host of the inventory.
    pub hosts: BTreeMap<Arc<str>, HostFacts>,
    /// The digest of each wanted agent-runner.toml.
    pub wanted: BTreeMap<StreamId, Arc<str>>,
    /// The streams to watch, each with where to go on.
    pub streams: BTreeMap<StreamId, Option<Cursor>>,
    /// Services that were stopped for a detector and not brought back.
    pub stopped: BTreeMap<StreamId, AutoStopped>,
    /// Alerts that were open.
    pub alerts: Alerts,
    /// Silences that have not ended.
    pub silences: Vec<Silence>,
    /// The hosts of the controller's own stops of the last minutes, with how long ago each was.
    pub recent_stops: Vec<(Arc<str>, Duration)>,
    /// Events of the last rounds, the oldest first.
    pub rounds: Vec<(StreamId, Value)>,
}

impl Beginning {
    /// Forgets what an earlier run knew of streams that are not watched now: nobody reads them, so they would count as
    /// silent, and as hosts of which the brake lets a share be stopped. Alerts about what is not watched stay open in
    /// the history for whoever does watch it; this watch could neither end them nor say that they still hold. Those of
    /// what the inventory does not name any more are kept, to be ended.
    pub fn keep(&mut self, watched: &BTreeSet<StreamId>) {
        self.streams.retain(|stream, _| watched.contains(stream));
        self.stopped.retain(|stream, _| watched.contains(stream));
        self.rounds.retain(|(stream, _)| watched.contains(stream));
        let hosts = &self.hosts;
        let account = |stream: &StreamId| hosts.get(&stream.host).and_then(|facts| facts.account.as_ref());
        self.alerts.retain(|key| {
            let seen = match &key.subject {
                Subject::Stream(stream) => watched.contains(stream),
                Subject::Host(host) => watched.iter().any(|stream| stream.host == *host),
                Subject::Account(name) => watched.iter().any(|stream| account(stream) == Some(name)),
                Subject::Fleet => true,
            };
            seen || is_gone(hosts, &key.subject)
        });
    }
}

impl Beginning {
    /// Forgets the alerts that only a watch that stops hosts and sends messages can judge: one that looks on would call
    /// them over. They stand in the history.
    pub fn look_on(&mut self) {
        self.alerts.retain(|key| !detectors::OF_THE_GUARD.contains(&&*key.detector));
    }
}

impl Fleet {
    /// Returns a fleet at its beginning.
    pub fn new(beginning: Beginning, policy: &Monitor, now: Moment) -> Fleet {
        let Beginning { name, hosts, wanted, streams, mut stopped, alerts, silences, recent_stops, rounds } =
            beginning;
        let watched: BTreeSet<_> = streams.keys().map(|stream| stream.host.clone()).collect();
        let mut brake = Brake::new(policy.brake, watched.len());
        brake.remember(now.mono, recent_stops);
        let held_back = detectors::held_back(&alerts);
        let named = held_back.iter().filter_map(|name| name.split_once('/'));
        let held_elsewhere = named
            .map(|(host, project)| StreamId { host: host.into(), project: project.into() })
            .filter(|id| !streams.contains_key(id) && !is_gone(&hosts, &Subject::Stream(id.clone())))
            .collect();
        let streams = streams.into_iter().map(|(stream, cursor)| {
            let mut state = StreamState::new(cursor, now);
            state.stopped = stopped.remove(&stream);
            state.left = LeftStops {
                held_back: held_back.contains(&stream.to_string()),
                failure: detectors::stop_failure(&alerts, &stream),
            };
            (stream, Arc::new(state))
        });
        let mut streams: BTreeMap<_, _> = streams.collect();
        for (stream, event) in &rounds {
            if let Some(state) = streams.get_mut(stream).map(Arc::make_mut) {
                state.rounds.take(event, now.wall);
                state.trend.take_event(event, now.wall);
            }
        }
        Fleet {
            name,
            now,
            hosts: Arc::new(hosts),
            wanted: Arc::new(wanted),
            streams,
            held_elsewhere,
            alerts,
            silences: Arc::new(silences),
            sinks: Arc::default(),
            brake,
        }
    }
}

/// Returns how long ago a stop was that the history tells of, for the brake; none when it lies in the future.
pub fn ago(at: Timestamp, now: Timestamp) -> Option<Duration> {
    u64::try_from(now.as_second() - at.as_second()).ok().map(Duration::from_secs)
}
