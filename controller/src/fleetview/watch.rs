//! The watch: starts a task per stream, folds what they send, and carries out the stops the fold asks for.

use std::collections::HashMap;
use std::future::Future;
use std::ops::ControlFlow;
use std::time::Duration;

use agent_runner_inventory::Monitor;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::auto_stop::{self, Wanted};
use super::fold::{Input, fold};
use super::state::{Fleet, Moment, StreamId, Told};
use super::streams::{Watched, follow};
use crate::ssh::Client;

/// Inputs that may wait to be folded; a stream whose input waits is read no further.
const QUEUE: usize = 1024;
/// How often time itself is an input.
const TICK: Duration = Duration::from_secs(1);

/// Watches `watched` until `end` completes or `tell` breaks, and returns what is known then. `tell` gets everything that
/// became known, in order, and after each tick an empty list.
pub async fn watch(
    client: &Client,
    watched: Vec<Watched>,
    policy: &Monitor,
    mut tell: impl FnMut(&Fleet, &[Told]) -> ControlFlow<()>,
    end: impl Future<Output = ()>,
) -> Fleet {
    let start = Instant::now();
    let now = || Moment { wall: Timestamp::now(), mono: start.elapsed() };
    let (inputs, mut queue) = mpsc::channel(QUEUE);
    let mut tasks = JoinSet::new();
    let mut fleet = Fleet::new(watched.iter().map(|one| one.id.clone()), policy, now());
    for one in &watched {
        tasks.spawn(follow(client.clone(), one.clone(), inputs.clone()));
    }
    let by_id: HashMap<StreamId, Watched> = watched.into_iter().map(|one| (one.id.clone(), one)).collect();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(end);
    loop {
        let input = tokio::select! {
            () = &mut end => break,
            Some(input) = queue.recv() => input,
            _ = tick.tick() => Input::Tick,
        };
        let told = fold(&mut fleet, input, policy, now());
        for one in &told {
            if let Told::StopWanted { stream, identity, detector } = one
                && let Some(watched) = by_id.get(stream)
            {
                let wanted = Wanted { identity: identity.clone(), detector: detector.clone() };
                tasks.spawn(auto_stop::stop(client.clone(), watched.clone(), wanted, inputs.clone()));
            }
        }
        if tell(&fleet, &told).is_break() {
            break;
        }
        while tasks.try_join_next().is_some() {}
    }
    tasks.shutdown().await;
    fleet
}
