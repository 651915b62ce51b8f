//! What is known of the fleet. Values only; [`super::fold`] changes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use agent_runner::event::ended_well;
use agent_runner::store::follow::Cursor;
use agent_runner::witness::alert::Alert;
use agent_runner::witness::stream::{Hello, State};
use jiff::Timestamp;

use super::alert::AlertState;
use super::brake::Brake;
use super::life::Alerts;
use super::rounds::{Rounds, Trend};
use super::silence::Silence;
use super::told::StoppedBy;

/// An instant: the wall clock for people, the monotonic one for durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// Time since some fixed instant; never goes back.
    pub mono: Duration,
}

/// One project on one host: one stream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// The host's name in the inventory.
    pub host: Arc<str>,
    /// The project's name.
    pub project: Arc<str>,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.project)
    }
}

/// Whether a stream's connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Being made, for the first time or again.
    Connecting,
    /// Data flows.
    Up,
    /// Gone; the reason is for people.
    Down {
        /// Why.
        reason: String,
        /// Whether no connection came about at all.
        reach: Reach,
    },
}

/// How a connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The host was reached, and the stream ended or never began.
    Reached,
    /// The host could not be reached.
    Unreached,
}

/// An alert that the host names as open.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAlert {
    /// The newest wording.
    pub alert: Alert,
    /// What has been done about it.
    pub stop: Stop,
    /// How the newest attempt at its stop failed; none when it did not.
    pub failure: Option<StopFailure>,
}

/// A stop that failed and is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopFailure {
    /// Why, the last time.
    pub reason: String,
    /// How often in a row in this run.
    pub times: u32,
}

/// What an earlier run left of the stops it wanted on a stream, until the host has named its alerts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftStops {
    /// The brake held them back: a person decides.
    pub held_back: bool,
    /// They failed.
    pub failure: Option<StopFailure>,
}

/// What has been done about an alert that asks for a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Nothing is to be done by the controller.
    NotOurs,
    /// It is to be asked for, if the brake lets it.
    Due,
    /// The brake holds it back; a person decides.
    HeldBack,
    /// It was asked for and is not confirmed.
    Asked {
        /// When.
        at: Duration,
    },
    /// The service is stopped.
    Done,
}

/// A stream that says nothing, by the age of its last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silent {
    /// The host is reached, or was never lost.
    Stale,
    /// The host cannot be reached.
    Unreachable,
}

/// What a host sent that it should not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nuisance {
    /// How often.
    pub count: u64,
    /// When last, on the monotonic clock.
    pub last: Duration,
    /// The newest one, cut to a line.
    pub what: String,
}

/// A service that was stopped for a detector and does not run again yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoStopped {
    /// For which.
    pub detector: String,
    /// When this became known.
    pub at: Timestamp,
    /// Who did it.
    pub by: StoppedBy,
}

/// The alerts a host names after a hello: around its first state, in no order that is promised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Naming {
    /// Those it named.
    pub named: BTreeSet<String>,
    /// When its first state came, on the monotonic clock.
    pub state_at: Option<Duration>,
}

/// What is known of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamState {
    /// Whether its connection stands.
    pub link: Link,
    /// When its last line came, or when watching began.
    pub last_data: Moment,
    /// Whether, and how, it has been silent for too long. Silence is never shown as up.
    pub silent: Option<Silent>,
    /// Who speaks, once it has spoken.
    pub hello: Option<Hello>,
    /// The project's state as told last.
    pub state: Option<State>,
    /// The place behind the last event.
    pub cursor: Option<Cursor>,
    /// The place behind the last event of this connection: whoever goes back behind it has begun a new log.
    pub cursor_here: Option<Cursor>,
    /// The host's open alerts by its own identity for each.
    pub alerts: BTreeMap<String, OpenAlert>,
    /// After a hello, until the host has had time to name what still fires. The other alerts have ended while nobody
    /// listened.
    pub naming: Option<Naming>,
    /// Whether the host has named its alerts since watching began: before that, what was open stays open.
    pub spoken: bool,
    /// What an earlier run left of the stops it wanted.
    pub left: LeftStops,
    /// The host's clock less the controller's, in seconds, as of its newest heartbeat.
    pub skew_s: Option<i64>,
    /// Lines that are no lines of a stream.
    pub garbled: Option<Nuisance>,
    /// More lines than are read.
    pub flooded: Option<Nuisance>,
    /// The newest rounds.
    pub rounds: Rounds,
    /// Disk, memory and cost over time.
    pub trend: Trend,
    /// The auto-stop that nobody has brought it back from yet.
    pub stopped: Option<AutoStopped>,
}

impl StreamState {
    /// Returns a stream of which nothing is known but where to go on.
    pub fn new(cursor: Option<Cursor>, now: Moment) -> StreamState {
        StreamState {
            link: Link::Connecting,
            last_data: now,
            silent: None,
            hello: None,
            state: None,
            cursor,
            cursor_here: None,
            alerts: BTreeMap::new(),
            naming: None,
            spoken: false,
            left: LeftStops::default(),
            skew_s: None,
            garbled: None,
            flooded: None,
            rounds: Rounds::default(),
            trend: Trend::default(),
            stopped: None,
        }
    }

    /// Returns whether the last finished round ended well. A state tells the exit code only; its event tells one that
    /// was ended after its result from one that failed.
    pub fn last_ended_well(&self) -> Option<bool> {
        let code = self.state.as_ref()?.last_exit_code?;
        let newest = self.rounds.iter().rev().find(|round| round.cause.is_some());
        let well = newest.is_some_and(|round| {
            round.exit_code == Some(code) && round.cause.as_deref().is_some_and(ended_well)
        });
        Some(code == 0 || well)
    }

    /// Returns whether a monitor on the host does the auto-stop itself: the state says so, or the hello of an older
    /// agent did.
    pub fn monitor_active(&self) -> bool {
        let refreshed = self.state.as_ref().and_then(|state| state.monitor_active);
        refreshed.unwrap_or_else(|| self.hello.as_ref().is_some_and(|hello| hello.monitor_active))
    }
}

/// What the inventory says of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    /// The login it shares with others.
    pub account: Option<Arc<str>>,
    /// Its projects, where they are known: alerts of others are over.
    pub projects: Option<BTreeSet<Arc<str>>>,
}

/// How a sink is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SinkHealth {
    /// Its kind and place, without secrets.
    pub name: String,
    /// Messages that wait for it on disk.
    pub waiting: u64,
    /// Messages dropped because too many waited, or because the sink refused them for good.
    pub dropped: u64,
    /// Why the last attempt failed; none when it went well.
    pub failing: Option<String>,
}

/// What is known of the whole fleet: a cheap value, cloned for every snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// Its name.
    pub name: Arc<str>,
    /// When it was last changed.
    pub now: Moment,
    /// Every host of the inventory, watched or not.
    pub hosts: Arc<BTreeMap<Arc<str>, HostFacts>>,
    /// The digest of each stream's wanted agent-runner.toml, where the inventory has one.
    pub wanted: Arc<BTreeMap<StreamId, Arc<str>>>,
    /// Every watched stream.
    pub streams: BTreeMap<StreamId, Arc<StreamState>>,
    /// What an earlier run's brake held back and this watch does not see: only one that does can say that it is over.
    pub held_elsewhere: Arc<[StreamId]>,
    /// Open and recent alerts, incidents among them.
    pub alerts: Alerts,
    /// Silences that have not ended.
    pub silences: Arc<Vec<Silence>>,
    /// How the sinks are.
    pub sinks: Arc<Vec<SinkHealth>>,
    /// The hosts of the controller's stops of the last minutes.
    pub brake: Brake,
}

impl Fleet {
    /// Returns the account a host logs in with, where the inventory names one.
    pub fn account(&self, host: &str) -> Option<&Arc<str>> {
        self.hosts.get(host)?.account.as_ref()
    }

    /// Returns the watched streams of a host.
    pub fn on_host<'a>(&'a self, host: &'a str) -> impl Iterator<Item = (&'a StreamId, &'a StreamState)> {
        let first = StreamId { host: host.into(), project: "".into() };
        let of = self.streams.range(first..).take_while(move |(id, _)| &*id.host == host);
        of.map(|(id, state)| (id, &**state))
    }

    /// Returns the watched streams of each account.
    pub fn by_account(&self) -> BTreeMap<Arc<str>, Vec<(&StreamId, &StreamState)>> {
        let mut by: BTreeMap<Arc<str>, Vec<(&StreamId, &StreamState)>> = BTreeMap::new();
        for (id, state) in &self.streams {
            if let Some(account) = self.account(&id.host) {
                by.entry(account.clone()).or_default().push((id, state));
            }
        }
        by
    }

    /// Returns the open alerts about an account or the fleet as a whole.
    pub fn incidents(&self) -> impl Iterator<Item = &AlertState> {
        self.alerts.open().filter(|alert| alert.is_incident())
    }

    /// Returns the streams whose service was stopped for a detector and does not run again.
    pub fn auto_stopped(&self) -> impl Iterator<Item = (&StreamId, &AutoStopped)> {
        self.streams.iter().filter_map(|(id, state)| Some((id, state.stopped.as_ref()?)))
    }
}
