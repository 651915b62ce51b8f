//! What a step of the fold made known: printed, sent, stored and counted by others.

use std::sync::Arc;

use agent_runner::store::follow::Cursor;
use agent_runner::witness::stream::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alert::AlertState;
use super::state::StreamId;

/// Why the sinks are told of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// It begins.
    Fired,
    /// It goes on, or became worse.
    Repeated,
    /// It is over: once for every one that fired.
    Resolved,
}

/// One message for the sinks.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Why.
    pub kind: NoticeKind,
    /// The alert as it stands.
    pub alert: Arc<AlertState>,
    /// When.
    pub at: Timestamp,
}

/// One thing that became known.
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
    /// An alert began to fire.
    Fired {
        /// The alert.
        alert: Arc<AlertState>,
    },
    /// An alert that fired is over.
    Resolved {
        /// The alert.
        alert: Arc<AlertState>,
    },
    /// An open alert changed otherwise: acknowledged, muted, pending, worse. For the history.
    Changed {
        /// The alert.
        alert: Arc<AlertState>,
    },
    /// The sinks shall be told.
    Notify(Notice),
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
    /// The host was started anew since it was last heard.
    Rebooted {
        /// Whose.
        stream: StreamId,
    },
    /// The service shall be stopped now.
    StopWanted {
        /// Whose.
        stream: StreamId,
        /// The agent's identity of the alert.
        identity: String,
        /// Its detector.
        detector: String,
    },
    /// The service was stopped for a detector: by the controller, or by the host's own monitor.
    Stopped {
        /// Whose.
        stream: StreamId,
        /// The detector that asked.
        detector: String,
        /// Who did it.
        by: StoppedBy,
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
    /// A service that had been stopped for a detector runs again.
    Resumed {
        /// Whose.
        stream: StreamId,
    },
}

/// Who stopped a service for a detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoppedBy {
    /// The controller, because no monitor runs there.
    Controller,
    /// The host's own monitor.
    Host,
}

impl StoppedBy {
    /// Returns the word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            StoppedBy::Controller => "controller",
            StoppedBy::Host => "host",
        }
    }
}
