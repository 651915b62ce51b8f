//! The hub: what every view of the fleet reads, and the few things that can be asked for.
//!
//! A view takes [`Hub::snapshot`] and draws it; [`Hub::changes`] wakes it at most four times a second, however much
//! happens, and always with the newest state. [`Hub::told`] carries every single thing that became known, for lines
//! and for server-sent events; a reader that falls behind is told so (`Lagged`) and takes a snapshot. Neither ever holds
//! up a stream. [`Hub::act`] is the only way to change something.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, watch};

use super::act::{self, Action, ActionError};
use super::streams::Watched;
use crate::fleetview::fold::Input;
use crate::fleetview::state::{Fleet, StreamId};
use crate::fleetview::told::Told;
use crate::history::journal::Journal;
use crate::ssh::Client;

/// Things told that a slow reader may be behind.
pub(super) const BEHIND: usize = 1024;

/// A reader of everything told.
pub type News = broadcast::Receiver<Arc<[Told]>>;

/// A handle; clones are cheap and see the same fleet.
#[derive(Debug, Clone)]
pub struct Hub {
    pub(super) snapshots: watch::Receiver<Arc<Fleet>>,
    pub(super) told: broadcast::Sender<Arc<[Told]>>,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) client: Client,
    pub(super) watched: Arc<HashMap<StreamId, Watched>>,
    pub(super) journal: Option<Journal>,
}

impl Hub {
    /// Returns the fleet as it is known now: a shared value, never changed again.
    pub fn snapshot(&self) -> Arc<Fleet> {
        self.snapshots.borrow().clone()
    }

    /// Returns a receiver that is woken when there is a newer snapshot.
    pub fn changes(&self) -> watch::Receiver<Arc<Fleet>> {
        self.snapshots.clone()
    }

    /// Returns a receiver of everything told from now on.
    pub fn told(&self) -> News {
        self.told.subscribe()
    }

    /// Does something for `by`, and returns what came of it in words.
    ///
    /// # Errors
    /// When the subject is unknown, the host refuses, or nothing can be remembered.
    pub async fn act(&self, action: Action, by: &str) -> Result<String, ActionError> {
        act::act(self, action, by).await
    }

    /// Returns the last lines of the log of a stream's newest round, at most `lines`.
    ///
    /// # Errors
    /// When the stream is not watched, or the host does not answer.
    pub async fn log_tail(&self, stream: &StreamId, lines: u32) -> Result<Vec<String>, ActionError> {
        act::log_tail(self, stream, lines).await
    }
}
