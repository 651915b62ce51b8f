//! Bringing the services of one chain back: each through its agent's own `start`, the first one watched until its
//! rounds show that the login works.

use std::time::Duration;

use agent_runner::error::in_words;
use agent_runner::witness::stream::StreamLine;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::act::ask;
use super::streams::{SILENCE, Watched};
use crate::fleetview::resume::{Chain, Proof, Verdict};
use crate::fleetview::state::StreamId;
use crate::ssh::{Client, Source, Stream};

/// How long a stream may take for its first line.
const GREETING: Duration = Duration::from_secs(60);

/// How fast services come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The pause between two services of one chain.
    pub stagger: Duration,
    /// How long the first of an account may take to show that the login works; none does not wait for that.
    pub proof: Option<Duration>,
}

/// One thing that happened on the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// A service was started and is active.
    Back(&'a StreamId),
    /// The others of its account wait for a round of it that ends well.
    Proving {
        /// Whose.
        stream: &'a StreamId,
        /// How many others wait.
        others: usize,
        /// How long they wait at most.
        most: Duration,
    },
    /// It could not be started, or its login does not work; `back` tells which.
    Failed {
        /// Whose.
        stream: &'a StreamId,
        /// Whether it was started.
        back: bool,
        /// Why.
        why: String,
    },
    /// It was not tried, because of another one of its account.
    LeftAlone {
        /// Whose.
        stream: &'a StreamId,
        /// The other one.
        after: &'a StreamId,
    },
}

/// Brings the services of a chain back, one after another, and tells each step. What is wrong with one host of an account
/// may be wrong with the account: the rest of it is left alone.
pub async fn bring_back<'a>(
    client: &Client,
    chain: &'a Chain,
    find: impl Fn(&StreamId) -> Option<Watched>,
    pace: Pace,
    mut told: impl FnMut(Step<'a>),
) {
    for (position, stream) in chain.streams.iter().enumerate() {
        if position > 0 {
            sleep(pace.stagger).await;
        }
        let Some(watched) = find(stream) else {
            told(Step::Failed { stream, back: false, why: "it is not watched".to_owned() });
            continue;
        };
        let others = chain.streams.len() - position - 1;
        let most = pace.proof.filter(|_| position == 0 && chain.proof);
        let failed = match one(client, &watched, most.is_some()).await {
            Err(why) => Some(Step::Failed { stream, back: false, why }),
            Ok(witness) => {
                told(Step::Back(stream));
                match (witness, most) {
                    (Some(witness), Some(most)) => {
                        told(Step::Proving { stream, others, most });
                        let shown = verdict(witness, most).await.err();
                        shown.map(|why| Step::Failed { stream, back: true, why })
                    }
                    (Some(_), None) | (None, _) => None,
                }
            }
        };
        let Some(failed) = failed else { continue };
        told(failed);
        if chain.account.is_some() {
            for rest in chain.streams.iter().skip(position + 1) {
                told(Step::LeftAlone { stream: rest, after: stream });
            }
            return;
        }
    }
}

/// Starts one service, and follows it from before its start on where that is wanted.
async fn one(client: &Client, watched: &Watched, follow: bool) -> Result<Option<Stream>, String> {
    let witness = if follow { Some(witness(client, watched).await?) } else { None };
    let status = ask(client, watched, "start").await.map_err(|error| in_words(&error))?;
    if status.active { Ok(witness) } else { Err("it was started and is not active".to_owned()) }
}

/// Returns the stream of a service, behind everything that is in its log.
async fn witness(client: &Client, watched: &Watched) -> Result<Stream, String> {
    let unseen = |why: String| format!("whether its login works could not be watched: {why}");
    let shared = client.session(&watched.settings).await.map_err(|error| unseen(in_words(&error)))?;
    let stream = client.stream_beside(shared, &watched.settings, watched.speak(None)).await;
    let mut stream = stream.map_err(|error| unseen(in_words(&error)))?;
    match timeout(GREETING, next(&mut stream)).await {
        Ok(Ok(_)) => Ok(stream),
        Ok(Err(why)) => Err(unseen(why)),
        Err(_) => Err(unseen(format!("the agent said nothing within {} s", GREETING.as_secs()))),
    }
}

/// Waits until the rounds of a service that was started have shown something.
async fn verdict(mut stream: Stream, most: Duration) -> Result<(), String> {
    let end = Instant::now() + most;
    let mut proof = Proof::default();
    loop {
        let line = match timeout_at(end, timeout(SILENCE, next(&mut stream))).await {
            Ok(Ok(Ok(line))) => line,
            Ok(Ok(Err(why))) => return Err(format!("no round of it has ended well yet, and {why}")),
            Ok(Err(_)) => {
                return Err("no round of it has ended well yet, and it says nothing more".to_owned());
            }
            Err(_) => return Err(format!("no round of it ended well within {} s", most.as_secs())),
        };
        match proof.take(&line) {
            Some(Verdict::Works) => return Ok(()),
            Some(Verdict::Fails(why)) => return Err(why),
            None => {}
        }
    }
}

/// Returns the stream's next line; what is no such line is skipped.
async fn next(stream: &mut Stream) -> Result<StreamLine, String> {
    let mut complaint = String::new();
    while let Some(line) = stream.next().await {
        if line.source == Source::Stderr {
            complaint = format!(": {}", super::streams::words(&String::from_utf8_lossy(&line.bytes)));
        } else if let Ok(line) = serde_json::from_slice(&line.bytes) {
            return Ok(line);
        }
    }
    Err(format!("its stream ended{complaint}"))
}
