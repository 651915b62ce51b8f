//! What is known of the fleet. Values only; [`super::fold`] changes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use agent_runner::store::follow::Cursor;
use agent_runner::witness::alert::Alert;
use agent_runner::witness::stream::{Hello, State};
use jiff::Timestamp;
use serde_json::Value;

use super::brake::Brake;

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
    /// The host was reached, and the stream ended.
    Reached,
    /// The host could not be reached.
    Unreached,
}

/// An alert that is open.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAlert {
    /// The newest wording.
    pub alert: Alert,
    /// When it began here.
    pub since: Moment,
    /// What has been done about it.
    pub stop: Stop,
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

/// What is known of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamState {
    /// Whether its connection stands.
    pub link: Link,
    /// When its last line came, or when watching began.
    pub last_data: Moment,
    /// Who speaks, once it has spoken.
    pub hello: Option<Hello>,
    /// The project's state as told last.
    pub state: Option<State>,
    /// The place behind the last event.
    pub cursor: Option<Cursor>,
    /// Open alerts by identity: the host's and the controller's own.
    pub alerts: BTreeMap<String, OpenAlert>,
    /// Between a hello and the state that follows it: the alerts the host still names. The others have ended
    /// while nobody listened.
    pub named_again: Option<BTreeSet<String>>,
}

/// What is known of the whole fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// Every watched stream.
    pub streams: BTreeMap<StreamId, StreamState>,
    /// The controller's stops of the last minutes.
    pub brake: Brake,
}

/// What one step made known; printed, sent and stored by others.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// An event of a host's log, once.
    Event {
        /// Whose.
        stream: StreamId,
        /// The place behind it.
        cursor: Cursor,
        /// The line as an object.
        event: Value,
    },
    /// An alert began.
    Fired {
        /// Whose.
        stream: StreamId,
        /// What distinguishes it.
        identity: String,
        /// The alert.
        alert: Alert,
    },
    /// An alert ended.
    Resolved {
        /// Whose.
        stream: StreamId,
        /// What distinguished it.
        identity: String,
        /// Its detector.
        detector: String,
        /// Seconds it was open here.
        firing_for_s: i64,
    },
    /// The project's state changed.
    State {
        /// Whose.
        stream: StreamId,
        /// The new state.
        state: State,
    },
    /// The connection stands, again or for the first time.
    LinkUp {
        /// Whose.
        stream: StreamId,
    },
    /// The connection is gone and will be tried again.
    LinkDown {
        /// Whose.
        stream: StreamId,
        /// Why.
        reason: String,
    },
    /// The service shall be stopped now.
    StopWanted {
        /// Whose.
        stream: StreamId,
        /// The alert's identity.
        identity: String,
        /// Its detector.
        detector: String,
    },
    /// A stop was asked for and is confirmed.
    Stopped {
        /// Whose.
        stream: StreamId,
        /// The detector that asked.
        detector: String,
    },
    /// A stop failed and is tried again.
    StopFailed {
        /// Whose.
        stream: StreamId,
        /// The detector that asked.
        detector: String,
        /// Why.
        reason: String,
    },
    /// A stop is held back: too many already.
    BrakeEngaged {
        /// Whose.
        stream: StreamId,
        /// The detector that asked.
        detector: String,
    },
}
