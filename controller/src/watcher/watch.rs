//! The watcher: a task per stream, one loop that folds what they send, and what the fold asks for: stops, writing,
//! snapshots.

use std::collections::HashMap;
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use agent_runner_inventory::Monitor;
use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::auto_stop::{self, Wanted};
use super::entries::{entries, is_urgent};
use super::errands::Errands;
use super::hub::{BEHIND, Hub};
use super::streams::{Watched, follow};
use crate::fleetview::beginning::Beginning;
use crate::fleetview::fold::{Input, fold};
use crate::fleetview::state::{Fleet, Moment};
use crate::fleetview::told::Told;
use crate::history::Entry;
use crate::history::journal::{self, Journal, Written};
use crate::ssh::Client;

/// Inputs that may wait to be folded; a stream whose input waits is read no further.
const QUEUE: usize = 1024;
/// How often time itself is an input.
const TICK: Duration = Duration::from_secs(1);
/// How often what was told is written and shown, at most.
const BEAT: Duration = Duration::from_millis(250);
/// Entries that are written before the next beat.
const BATCH: usize = 2000;
/// How long the end waits for what is not on disk yet.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What a watch is made of.
#[derive(Debug)]
pub struct Setup {
    /// How hosts are reached.
    pub client: Client,
    /// The streams.
    pub watched: Vec<Watched>,
    /// What the inventory says of watching. With an empty `auto_stop` the watch only looks on.
    pub policy: Monitor,
    /// What is known at the beginning; its streams are added from `watched`.
    pub beginning: Beginning,
    /// Where things are written, and for which sinks; none keeps nothing and sends nothing.
    pub journal: Option<(Journal, Vec<String>)>,
}

/// A watch that has not begun yet.
#[derive(Debug)]
pub struct Watcher {
    fleet: Fleet,
    policy: Monitor,
    start: Instant,
    hub: Hub,
    queue: mpsc::Receiver<Input>,
    snapshots: watch::Sender<Arc<Fleet>>,
    notebook: Notebook,
}

impl Watcher {
    /// Returns a watch; nothing is connected until it runs.
    pub fn new(setup: Setup) -> Watcher {
        let Setup { client, watched, policy, mut beginning, journal } = setup;
        for one in &watched {
            beginning.streams.entry(one.id.clone()).or_default();
        }
        let start = Instant::now();
        let name = beginning.name.clone();
        let now = Moment { wall: Timestamp::now(), mono: Duration::ZERO };
        let fleet = Fleet::new(beginning, &policy, now);
        let (inputs, queue) = mpsc::channel(QUEUE);
        let (snapshots, newest) = watch::channel(Arc::new(fleet.clone()));
        let hub = Hub {
            snapshots: newest,
            told: broadcast::channel(BEHIND).0,
            inputs,
            client,
            watched: Arc::new(
                watched.into_iter().map(|one| (one.id.clone(), one)).collect::<HashMap<_, _>>(),
            ),
            journal: journal.as_ref().map(|(journal, _)| journal.clone()),
        };
        let notebook = Notebook { fleet: name, journal, entries: Vec::new(), answer: None, failing: None };
        Watcher { fleet, policy, start, hub, queue, snapshots, notebook }
    }

    /// Returns the handle that views and actions use; it works as long as the watch runs.
    pub fn hub(&self) -> Hub {
        self.hub.clone()
    }

    /// Returns where others (sinks) put what they have to say.
    pub fn inputs(&self) -> mpsc::Sender<Input> {
        self.hub.inputs.clone()
    }

    /// Watches until `end` completes or `tell` breaks, and returns what is known then. `tell` gets everything that
    /// became known, in order, and after each tick an empty list.
    pub async fn run(
        self,
        mut tell: impl FnMut(&Fleet, &[Told]) -> ControlFlow<()>,
        end: impl Future<Output = ()>,
    ) -> Fleet {
        let Watcher { mut fleet, policy, start, hub, mut queue, snapshots, mut notebook } = self;
        let now = || Moment { wall: Timestamp::now(), mono: start.elapsed() };
        let mut tasks = JoinSet::new();
        for (id, one) in hub.watched.iter() {
            let cursor = fleet.streams.get(id).and_then(|state| state.cursor.clone());
            tasks.spawn(follow(hub.client.clone(), one.clone(), cursor, hub.inputs.clone()));
        }
        let (mut tick, mut beat) = (interval(TICK), interval(BEAT));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(end);
        let (mut changed, mut errands) = (true, Errands::default());
        loop {
            let input = tokio::select! {
                () = &mut end => break,
                Some(input) = queue.recv() => input,
                _ = beat.tick() => {
                    notebook.hand_over();
                    if std::mem::take(&mut changed) {
                        snapshots.send_replace(Arc::new(fleet.clone()));
                    }
                    continue;
                }
                _ = tick.tick() => {
                    if let Some((journal, _)) = &notebook.journal {
                        errands.tick(&mut tasks, journal, &fleet, &hub.inputs);
                    }
                    Input::Tick
                }
            };
            let ticked = input == Input::Tick;
            let told = fold(&mut fleet, input, &policy, now());
            changed = true;
            for one in &told {
                if let Told::StopWanted { stream, identity, detector } = one
                    && let Some(watched) = hub.watched.get(stream)
                {
                    let wanted = Wanted { identity: identity.clone(), detector: detector.clone() };
                    tasks.spawn(auto_stop::stop(
                        hub.client.clone(),
                        watched.clone(),
                        wanted,
                        hub.inputs.clone(),
                    ));
                }
            }
            notebook.note(&told, fleet.now.wall);
            if (ticked || !told.is_empty()) && tell(&fleet, &told).is_break() {
                break;
            }
            if !told.is_empty() {
                // Nobody may be listening.
                let _ = hub.told.send(told.into());
            }
            while tasks.try_join_next().is_some() {}
        }
        tasks.shutdown().await;
        snapshots.send_replace(Arc::new(fleet.clone()));
        if tokio::time::timeout(LAST_WORDS, notebook.close()).await.is_err() {
            tracing::warn!("the history was not written to its end");
        }
        fleet
    }
}

/// What waits to be written.
#[derive(Debug)]
struct Notebook {
    fleet: Arc<str>,
    journal: Option<(Journal, Vec<String>)>,
    entries: Vec<Entry>,
    answer: Option<oneshot::Receiver<Written>>,
    failing: Option<String>,
}

impl Notebook {
    fn note(&mut self, told: &[Told], now: Timestamp) {
        let Some((_, sinks)) = &self.journal else { return };
        for one in told {
            self.entries.extend(entries(one, &self.fleet, sinks, now));
        }
        if self.entries.len() >= BATCH || told.iter().any(is_urgent) {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let Some((journal, _)) = &self.journal else { return };
        if let Some(answer) = &mut self.answer
            && let Ok(written) = answer.try_recv()
        {
            self.answer = None;
            let failing = match written {
                Written::All => None,
                Written::Kept(why) => Some(why),
            };
            if failing != self.failing {
                match &failing {
                    Some(why) => tracing::warn!("the history cannot be written and is kept in memory: {why}"),
                    None => tracing::warn!("the history is written again"),
                }
                self.failing = failing;
            }
        }
        if self.entries.is_empty() {
            return;
        }
        match journal.write(std::mem::take(&mut self.entries)) {
            Ok(answer) => self.answer = Some(answer),
            Err(entries) => {
                self.entries = entries;
                journal::forget(&mut self.entries);
            }
        }
    }

    async fn close(mut self) {
        while !self.entries.is_empty() {
            self.hand_over();
            tokio::time::sleep(BEAT / 10).await;
        }
        if let Some(answer) = self.answer.take() {
            // Its thread may have ended; then there is nobody to wait for.
            let _ = answer.await;
        }
    }
}
