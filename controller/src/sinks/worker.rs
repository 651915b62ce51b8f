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
use crate::fleetview::entries::reminders;
use crate::fleetview::fold::Input;
use crate::fleetview::hub::Hub;
use crate::fleetview::state::SinkHealth;
use crate::history::journal::Journal;

/// How often the outbox is looked into while it is empty.
const IDLE: Duration = Duration::from_millis(500);
/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often an Alertmanager is told of what still fires; it forgets after five minutes.
const REMIND: Duration = Duration::from_secs(60);

/// Serves one sink for as long as somebody takes its news.
pub async fn work(place: Place, http: Http, journal: Journal, (hub, inputs): (Hub, Sender<Input>)) {
    let name = place.name();
    let mut health = SinkHealth { name: name.clone(), waiting: 0, dropped: 0, failing: None };
    let (mut pause, mut reminded) = (PAUSES.0, Instant::now());
    while !inputs.is_closed() {
        let before = health.clone();
        let result = match journal.next_message(name.clone()).await {
            Ok((next, (waiting, dropped))) => {
                (health.waiting, health.dropped) = (waiting, dropped);
                match next {
                    Some(message) => match send(&place, &http, &message.body).await {
                        Ok(()) => {
                            journal.message_sent(message.id).await.map(|()| true).map_err(|e| e.to_string())
                        }
                        Err(error) if error.is_final() => {
                            tracing::warn!("{name} does not want a message, which is dropped: {error}");
                            journal.message_sent(message.id).await.map(|()| true).map_err(|e| e.to_string())
                        }
                        Err(error) => Err(error.to_string()),
                    },
                    None if reminded.elapsed() >= REMIND => {
                        reminded = Instant::now();
                        remind(&place, &http, &hub).await.map(|()| false).map_err(|error| error.to_string())
                    }
                    None => Ok(false),
                }
            }
            Err(error) => Err(error.to_string()),
        };
        let wait = match result {
            Ok(more) => {
                // An empty outbox proves nothing about the sink: only a message that went through does.
                if more || health.waiting == 0 {
                    health.failing = None;
                    pause = PAUSES.0;
                }
                health.waiting = health.waiting.saturating_sub(u64::from(more));
                if more { Duration::ZERO } else { IDLE }
            }
            Err(why) => {
                health.failing = Some(why);
                let wait = pause;
                pause = (pause * 2).min(PAUSES.1);
                wait
            }
        };
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
        (None, Some(why)) => tracing::warn!("{}: {why}; messages wait on disk", now.name),
        (Some(_), None) => tracing::warn!("{}: takes messages again", now.name),
        (None, None) | (Some(_), Some(_)) => {}
    }
    if now.dropped > before.dropped {
        let more = now.dropped - before.dropped;
        tracing::warn!("{}: too many messages wait; the oldest {more} were dropped", now.name);
    }
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
async fn remind(place: &Place, http: &Http, hub: &Hub) -> Result<(), SendError> {
    let Place::Alertmanager { url } = place else { return Ok(()) };
    let fleet = hub.snapshot();
    let now = Timestamp::now();
    let messages: Vec<Value> = reminders(&fleet.alerts, &fleet.name, now);
    if messages.is_empty() {
        return Ok(());
    }
    let body = alertmanager::body(&messages, now).to_string();
    http.post(&alertmanager::url(url), &[], body.into_bytes()).await
}
