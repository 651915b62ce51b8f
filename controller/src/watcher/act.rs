//! What can be asked of the fleet view: silence, acknowledge, stop, start, resume.

use std::time::Duration;

use agent_runner::error::in_words;
use agent_runner::service::Status;
use jiff::Timestamp;

use super::back::{Pace, Step, bring_back};
use super::hub::Hub;
use super::streams::Watched;
use crate::fleetview::alert::{Ack, Key};
use crate::fleetview::fold::Input;
use crate::fleetview::resume::{PROOF, Plan, STAGGER, plan};
use crate::fleetview::silence::{Matcher, Silence};
use crate::fleetview::state::StreamId;
use crate::history::{Asked, Entry};
use crate::remote;
use crate::ssh::{Client, Output, SshError};

/// How long a verb may take on a host.
const DEADLINE: Duration = Duration::from_secs(60);
/// The most lines of a log that are fetched.
const LINES: u32 = 1000;

/// One wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sends nothing of the alerts that all matchers match.
    Silence {
        /// At least one.
        matchers: Vec<Matcher>,
        /// How long.
        seconds: u64,
        /// Why.
        comment: String,
    },
    /// Ends a silence.
    Unsilence(i64),
    /// Takes note of an alert: it is not repeated.
    Acknowledge(Key),
    /// Takes that back.
    Unacknowledge(Key),
    /// Stops a service after its round.
    Stop(StreamId),
    /// Starts a service.
    Start(StreamId),
    /// Starts services that were stopped for a detector, staggered; an empty list means all of them.
    Resume(Vec<StreamId>),
}

/// Why a wish was not granted.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// It names something unknown.
    #[error("{0}")]
    Unknown(String),
    /// The host could not be reached.
    #[error("{stream}")]
    Reach {
        /// Whose.
        stream: StreamId,
        /// Why.
        #[source]
        source: SshError,
    },
    /// The agent there refused.
    #[error("{stream}: {said}")]
    Refused {
        /// Whose.
        stream: StreamId,
        /// What it said.
        said: String,
    },
    /// This watch keeps no history, so nothing can be remembered.
    #[error("this watch keeps no history; silences and acknowledgements need one")]
    NoHistory,
    /// The history cannot be written.
    #[error(transparent)]
    History(#[from] crate::history::HistoryError),
    /// The watch has ended.
    #[error("the watch has ended")]
    Ended,
}

pub(super) async fn act(hub: &Hub, action: Action, by: &str) -> Result<String, ActionError> {
    // As exact as the history keeps it, so that what is read back compares equal.
    let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap_or_default();
    match action {
        Action::Silence { matchers, seconds, comment } => {
            let until = until(now, seconds);
            let silence = Silence { id: 0, matchers, comment, by: by.to_owned(), from: now, until };
            let id = hub.journal()?.silence(silence).await?;
            Ok(format!("silence {id} until {until}"))
        }
        Action::Unsilence(id) => match hub.journal()?.expire(id, by.to_owned(), now).await? {
            true => Ok(format!("silence {id} has ended")),
            false => Err(ActionError::Unknown(format!("no silence {id} is in force"))),
        },
        Action::Acknowledge(key) => {
            let ack = Ack { by: by.to_owned(), at: now };
            open(hub, &key)?;
            if let Some(journal) = &hub.journal {
                journal.acknowledge(key.clone(), ack.clone()).await?;
            }
            noted(hub, key, Some(ack)).await
        }
        Action::Unacknowledge(key) => {
            open(hub, &key)?;
            if let Some(journal) = &hub.journal {
                journal.unacknowledge(key.clone(), Ack { by: by.to_owned(), at: now }).await?;
            }
            noted(hub, key, None).await
        }
        Action::Stop(stream) => {
            service(hub, &stream, Asked { at: now, by, what: "stop", run: None, error: None }).await
        }
        Action::Start(stream) => {
            service(hub, &stream, Asked { at: now, by, what: "start", run: None, error: None }).await
        }
        Action::Resume(only) => {
            resume(hub, &only, Asked { at: now, by, what: "resume", run: None, error: None }).await
        }
    }
}

/// Returns the instant so many seconds from now; the end of time when there is none.
pub fn until(now: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

impl Hub {
    fn journal(&self) -> Result<&crate::history::journal::Journal, ActionError> {
        self.journal.as_ref().ok_or(ActionError::NoHistory)
    }

    fn remember(&self, entries: Vec<Entry>) {
        if let Some(journal) = &self.journal {
            journal.remember(entries);
        }
    }

    fn watched(&self, stream: &StreamId) -> Result<&Watched, ActionError> {
        self.watched.get(stream).ok_or_else(|| ActionError::Unknown(format!("{stream} is not watched")))
    }
}

fn open(hub: &Hub, key: &Key) -> Result<(), ActionError> {
    match hub.snapshot().alerts.get(key) {
        Some(_) => Ok(()),
        None => Err(ActionError::Unknown(format!("no such alert is open: {} {}", key.subject, key.detector))),
    }
}

async fn noted(hub: &Hub, key: Key, ack: Option<Ack>) -> Result<String, ActionError> {
    let said = if ack.is_some() { "taken note of" } else { "open again" };
    let words = format!("{} {}: {said}", key.subject, key.detector);
    hub.inputs.send(Input::Acknowledged(key, ack)).await.map_err(|_| ActionError::Ended)?;
    Ok(words)
}

/// Runs a verb on a service. Who asked is in the history before the host is, and also what became of it if nothing did.
async fn service(hub: &Hub, stream: &StreamId, asked: Asked<'_>) -> Result<String, ActionError> {
    let watched = hub.watched(stream)?;
    hub.remember(vec![asked.of(stream)]);
    let answer = ask(&hub.client, watched, asked.what).await;
    if let Err(error) = &answer {
        hub.remember(vec![Asked { at: Timestamp::now(), error: Some(&in_words(error)), ..asked }.of(stream)]);
    }
    let status = answer?;
    let state = if status.active { "active" } else { "stopped" };
    Ok(format!("{stream}: {state}"))
}

/// Brings services back: the logins side by side, the hosts of one login one after another.
async fn resume(hub: &Hub, only: &[StreamId], asked: Asked<'_>) -> Result<String, ActionError> {
    let fleet = hub.snapshot();
    let stopped = fleet.auto_stopped().filter(|(id, _)| only.is_empty() || only.contains(id));
    let stopped = stopped.map(|(id, stopped)| (id.clone(), stopped.detector.as_str()));
    let Plan { chains } = plan(stopped, |host| fleet.account(host).cloned());
    hub.remember(chains.iter().flat_map(|chain| &chain.streams).map(|stream| asked.of(stream)).collect());
    let pace = Pace { stagger: STAGGER, proof: Some(PROOF) };
    let chains = chains.iter().map(|chain| async move {
        let (mut back, mut left, mut failed) = (0, 0, None);
        let find = |stream: &StreamId| hub.watched.get(stream).cloned();
        bring_back(&hub.client, chain, find, pace, |step| match step {
            Step::Back(_) => back += 1,
            Step::Proving { .. } => {}
            Step::Failed { stream, why, .. } => failed = Some((stream.clone(), why)),
            Step::LeftAlone { .. } => left += 1,
        })
        .await;
        (back, left, failed)
    });
    let all = futures::future::join_all(chains).await;
    let back: usize = all.iter().map(|(back, ..)| back).sum();
    let left: usize = all.iter().map(|(_, left, _)| left).sum();
    match all.into_iter().find_map(|(.., failed)| failed) {
        None => Ok(format!("{back} brought back")),
        Some((stream, why)) => Err(ActionError::Refused {
            stream,
            said: format!("{why}; {back} brought back, {left} left alone"),
        }),
    }
}

/// Runs a service verb of the agent on a stream's project and returns the service's state after it.
///
/// # Errors
/// When the host cannot be reached, or the agent refuses.
pub async fn ask(client: &Client, watched: &Watched, verb: &str) -> Result<Status, ActionError> {
    let output = run(client, watched, &[verb]).await?;
    serde_json::from_slice(&output.stdout).map_err(|error| ActionError::Refused {
        stream: watched.id.clone(),
        said: format!("its answer is no service state: {error}"),
    })
}

pub(super) async fn log_tail(hub: &Hub, stream: &StreamId, lines: u32) -> Result<Vec<String>, ActionError> {
    let watched = hub.watched(stream)?;
    let output =
        run(&hub.client, watched, &["peek", "--round", "latest", "--select", "current_round"]).await?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let Some(path) = answer.get("log_path").and_then(serde_json::Value::as_str) else {
        return Ok(Vec::new());
    };
    let script = format!("exec tail -n {} -- {}", lines.min(LINES), crate::ssh::quote(path));
    let output = exec(&hub.client, watched, script).await?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

async fn run(client: &Client, watched: &Watched, verb: &[&str]) -> Result<Output, ActionError> {
    exec(client, watched, remote::agent(&watched.work_dir, verb)).await
}

async fn exec(client: &Client, watched: &Watched, script: String) -> Result<Output, ActionError> {
    let reach = |source| ActionError::Reach { stream: watched.id.clone(), source };
    let exec = watched.exec(script).deadline(Some(DEADLINE));
    let output = client.exec_beside(&watched.settings, exec).await.map_err(reach)?;
    if output.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let said = if said.is_empty() { output.status.to_string() } else { said };
    Err(ActionError::Refused { stream: watched.id.clone(), said })
}
