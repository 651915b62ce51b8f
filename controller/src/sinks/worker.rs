//! One sink's worker: takes its messages from the outbox, in order, and tries again after growing pauses.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep};

use super::alertmanager;
use super::http::{Http, SendError};
use super::jsonl;
use super::place::{Place, exposed};
use super::webhook::{SIGNATURE, signature};
use crate::fleetview::fold::Input;
use crate::fleetview::state::SinkHealth;
use crate::history::journal::Journal;
use crate::history::{HistoryError, Message};
use crate::watcher::entries::reminders;
use crate::watcher::hub::Hub;

/// How often the outbox is looked into while it is empty.
const IDLE: Duration = Duration::from_millis(500);
/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often an Alertmanager is told of what still fires; it forgets after five minutes.
const REMIND: Duration = Duration::from_secs(60);

/// What one look into the outbox came to.
enum Turn {
    /// A message was taken, from the outbox or as a reminder.
    Taken {
        /// How many messages fewer wait.
        of_outbox: u64,
    },
    /// A message was refused for good, and is dropped.
    Dropped(SendError),
    /// There was nothing to send, which proves nothing about the sink.
    Idle,
    /// The sink took nothing.
    Failed(SendError),
    /// The history could not be read or written.
    Unread(HistoryError),
}

/// Serves one sink for as long as somebody takes its news.
pub async fn work(place: Place, http: Http, journal: Journal, (hub, inputs): (Hub, Sender<Input>)) {
    let name = place.name();
    let mut health = SinkHealth { name: name.clone(), waiting: 0, dropped: 0, failing: None };
    let (mut pause, mut reminded) = (PAUSES.0, Instant::now());
    // What the sink said last: it fails until something has gone through.
    let mut complaint: Option<String> = None;
    while !inputs.is_closed() {
        let before = health.clone();
        let turn = match journal.next_message(name.clone()).await {
            Ok((next, (waiting, dropped))) => {
                if dropped > health.dropped {
                    let more = dropped - health.dropped;
                    tracing::warn!("{name}: too many messages wait; the oldest {more} were dropped");
                }
                (health.waiting, health.dropped) = (waiting, dropped);
                match next {
                    Some(message) => deliver(&place, &http, &journal, message).await,
                    None if reminded.elapsed() >= REMIND => {
                        reminded = Instant::now();
                        remind(&place, &http, &hub).await
                    }
                    None => Turn::Idle,
                }
            }
            Err(error) => Turn::Unread(error),
        };
        let mut unread = None;
        let mut wait = Duration::ZERO;
        match turn {
            Turn::Taken { of_outbox } => {
                health.waiting = health.waiting.saturating_sub(of_outbox);
                complaint = None;
                pause = PAUSES.0;
            }
            Turn::Dropped(why) => {
                health.waiting = health.waiting.saturating_sub(1);
                health.dropped += 1;
                tracing::warn!("{name} does not want a message, which is dropped: {why}");
                complaint = Some(format!("a message was refused and dropped: {why}"));
            }
            Turn::Idle => wait = IDLE,
            Turn::Failed(why) => {
                complaint = Some(format!("{why}; messages wait on disk"));
                (wait, pause) = (pause, (pause * 2).min(PAUSES.1));
            }
            Turn::Unread(why) => {
                unread = Some(why.to_string());
                (wait, pause) = (pause, (pause * 2).min(PAUSES.1));
            }
        }
        health.failing = unread.or_else(|| complaint.clone());
        say(&before, &health);
        if before != health && inputs.send(Input::Sink(health.clone())).await.is_err() {
            return;
        }
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }
}

fn say(before: &SinkHealth, now: &SinkHealth) {
    match (&before.failing, &now.failing) {
        (None, Some(why)) => tracing::warn!("{}: {why}", now.name),
        (Some(_), None) => tracing::warn!("{}: takes messages again", now.name),
        (None, None) | (Some(_), Some(_)) => {}
    }
}

async fn deliver(place: &Place, http: &Http, journal: &Journal, message: Message) -> Turn {
    let (done, turn) = match send(place, http, &message.body).await {
        Ok(()) => (journal.message_sent(message.id).await, Turn::Taken { of_outbox: 1 }),
        Err(error) if error.is_final() => {
            (journal.message_dropped(place.name(), message.id).await, Turn::Dropped(error))
        }
        Err(error) => return Turn::Failed(error),
    };
    done.map_or_else(Turn::Unread, |()| turn)
}

async fn send(place: &Place, http: &Http, body: &str) -> Result<(), SendError> {
    match place {
        Place::Alertmanager { url } => {
            let message = serde_json::from_str(body).map_err(|error| SendError::Local(error.to_string()))?;
            let body = alertmanager::body(&[message], Timestamp::now()).to_string();
            http.post(&alertmanager::url(url), &[], body.into_bytes()).await
        }
        Place::Webhook { url, key } => {
            let body = body.as_bytes().to_vec();
            let signed = key.as_ref().map(|key| (SIGNATURE, signature(exposed(key), &body)));
            http.post(url, signed.as_slice(), body).await
        }
        Place::Jsonl { path } => {
            let (path, body) = (path.clone(), body.to_owned());
            let written = tokio::task::spawn_blocking(move || jsonl::append(&path, &body)).await;
            written
                .map_err(std::io::Error::other)
                .and_then(|result| result)
                .map_err(|error| SendError::Local(error.to_string()))
        }
    }
}

/// Tells an Alertmanager of everything that still fires; the others need no reminder.
async fn remind(place: &Place, http: &Http, hub: &Hub) -> Turn {
    let Place::Alertmanager { url } = place else { return Turn::Idle };
    let fleet = hub.snapshot();
    let now = Timestamp::now();
    let messages: Vec<Value> = reminders(&fleet.alerts, &fleet.name, now);
    if messages.is_empty() {
        return Turn::Idle;
    }
    let body = alertmanager::body(&messages, now).to_string();
    match http.post(&alertmanager::url(url), &[], body.into_bytes()).await {
        Ok(()) => Turn::Taken { of_outbox: 0 },
        Err(error) => Turn::Failed(error),
    }
}
