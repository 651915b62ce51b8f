//! The one thread that writes a fleet's history, and the handle that gives it work.
//!
//! Nobody waits for the disk but who asks it something: what is told is handed over in batches, and what cannot be
//! written is kept, bounded, and tried again with the next batch.

use std::thread;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::error::HistoryError;
use super::outbox::Message;
use super::store::{Entry, Store};
use crate::fleetview::alert::{Ack, Key};
use crate::fleetview::silence::Silence;

/// Jobs that may wait.
const QUEUE: usize = 256;
/// The most entries that are kept while nothing can be written; the oldest log lines go first.
pub const KEPT: usize = 100_000;

/// What other processes may have written since the last look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// Silences that have not ended.
    pub silences: Vec<Silence>,
    /// Who took note of what.
    pub acks: Vec<(Key, Ack)>,
}

/// A question or a change, run on the thread.
type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// The handle.
#[derive(Debug, Clone)]
pub struct Journal {
    jobs: mpsc::Sender<Job>,
    keeps: Keeps,
}

/// What a journal writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Everything.
    All,
    /// Only what a person asks for: another process keeps the rest.
    Words,
}

/// What the thread owns.
struct Writer {
    store: Store,
    kept: Vec<Entry>,
    seen: Option<i64>,
}

/// How a batch fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// All is on disk.
    All,
    /// Nothing could be written, and why; it is kept and tried again.
    Kept(String),
}

impl Journal {
    /// Starts the thread.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(store: Store) -> std::io::Result<Journal> {
        Journal::keeping(store, Keeps::All)
    }

    /// As [`Journal::start`], for a watch that looks on.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn keeping(store: Store, keeps: Keeps) -> std::io::Result<Journal> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        thread::Builder::new().name("history".into()).spawn(move || {
            let mut writer = Writer { store, kept: Vec::new(), seen: None };
            while let Some(job) = queue.blocking_recv() {
                job(&mut writer);
            }
        })?;
        Ok(Journal { jobs, keeps })
    }

    /// Hands a batch over, or gives it back when too much waits already. The answer comes when it is on disk.
    ///
    /// # Errors
    /// The batch itself.
    pub fn write(&self, entries: Vec<Entry>) -> Result<oneshot::Receiver<Written>, Vec<Entry>> {
        let (told, answer) = oneshot::channel();
        if self.keeps == Keeps::Words {
            // There is nothing to wait for, and whoever asked holds the other end.
            let _ = told.send(Written::All);
            return Ok(answer);
        }
        let Ok(place) = self.jobs.try_reserve() else { return Err(entries) };
        place.send(Box::new(move |writer| {
            // The asker may have gone.
            let _ = told.send(writer.write(entries));
        }));
        Ok(answer)
    }

    /// Returns what other processes said, when they may have said something since the last time.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn words(&self, now: Timestamp) -> Result<Option<Words>, HistoryError> {
        self.ask(move |writer| {
            // What could not be written a moment ago may be now; who looks on has no other occasion.
            if !writer.kept.is_empty() {
                let _ = writer.write(Vec::new());
            }
            let version = writer.store.data_version()?;
            if writer.seen == Some(version) {
                return Ok(None);
            }
            let words = Words { silences: writer.store.silences(now)?, acks: writer.store.acks()? };
            writer.seen = Some(version);
            Ok(Some(words))
        })
        .await
    }

    /// Adds a silence and returns its number.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn silence(&self, silence: Silence) -> Result<i64, HistoryError> {
        self.ask(move |writer| {
            writer.seen = None;
            writer.store.silence(&silence)
        })
        .await
    }

    /// Ends a silence for `by` and returns whether there was one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn expire(&self, id: i64, by: String, now: Timestamp) -> Result<bool, HistoryError> {
        self.ask(move |writer| {
            writer.seen = None;
            writer.store.expire(id, &by, now)
        })
        .await
    }

    /// Notes who took note of an alert.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn acknowledge(&self, key: Key, ack: Ack) -> Result<(), HistoryError> {
        self.ask(move |writer| {
            writer.seen = None;
            writer.store.acknowledge(&key, &ack)
        })
        .await
    }

    /// Takes that back; `back` says who does, and when.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn unacknowledge(&self, key: Key, back: Ack) -> Result<(), HistoryError> {
        self.ask(move |writer| {
            writer.seen = None;
            writer.store.unacknowledge(&key, &back)
        })
        .await
    }

    /// Writes down what a person asked for, also where another process keeps the rest. Nobody waits for it: a disk that
    /// hangs holds up no stop.
    pub fn remember(&self, entries: Vec<Entry>) {
        let Ok(place) = self.jobs.try_reserve() else {
            tracing::warn!("too much waits for the history: what was asked for is not written down");
            return;
        };
        place.send(Box::new(move |writer| {
            if let Written::Kept(why) = writer.write(entries) {
                tracing::warn!("what was asked for is written down later: {why}");
            }
        }));
    }

    /// Returns the message a sink gets next, how many wait and how many were dropped.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn next_message(&self, sink: String) -> Result<(Option<Message>, (u64, u64)), HistoryError> {
        self.ask(move |writer| Ok((writer.store.next_message(&sink)?, writer.store.waiting(&sink)?))).await
    }

    /// Removes a message its sink has taken.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn message_sent(&self, id: i64) -> Result<(), HistoryError> {
        self.ask(move |writer| writer.store.message_sent(id)).await
    }

    /// Removes a message its sink will never take, and counts it as dropped.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn message_dropped(&self, sink: String, id: i64) -> Result<(), HistoryError> {
        self.ask(move |writer| writer.store.message_dropped(&sink, id)).await
    }

    /// Removes what is too old, a part at a time. Returns whether there is more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn prune(&self, now: Timestamp) -> Result<bool, HistoryError> {
        if self.keeps == Keeps::Words {
            return Ok(false);
        }
        self.ask(move |writer| writer.store.prune(now)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Writer) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let (told, answer) = oneshot::channel();
        let job: Job = Box::new(move |writer| {
            // The asker may have gone.
            let _ = told.send(question(writer));
        });
        let ended = || HistoryError::File {
            path: "its thread".into(),
            source: std::io::Error::other("the thread that writes has ended"),
        };
        self.jobs.send(job).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl Writer {
    fn write(&mut self, entries: Vec<Entry>) -> Written {
        self.kept.extend(entries);
        match self.store.write(&self.kept) {
            Ok(()) => {
                self.kept.clear();
                Written::All
            }
            Err(error) => {
                forget(&mut self.kept);
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                Written::Kept(format!("{error}: {}", cause.unwrap_or_default()))
            }
        }
    }
}

/// Drops the oldest lines of the log until the bound holds: alerts and messages are few, and matter more.
pub(crate) fn forget(kept: &mut Vec<Entry>) {
    let mut too_many = kept.len().saturating_sub(KEPT);
    kept.retain(|entry| {
        let drop = too_many > 0 && matches!(entry, Entry::Log { .. } | Entry::Cursor(..));
        too_many -= usize::from(drop);
        !drop
    });
}
