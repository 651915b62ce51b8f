//! A whole rollout: batch after batch, each host by [`super::host`], until all are done or too many failed.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use agent_runner_inventory as inventory;
use tokio::task::JoinSet;

use super::host::{Deployed, HostDeploy};
use super::rollout::{Ended, Rollout};
use crate::output::recap::{HostResult, Recap, Status, Stopped};

/// What a rollout goes by.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Batches, threshold and pause.
    pub rollout: inventory::Rollout,
    /// Hosts at work at the same time within a batch.
    pub forks: usize,
}

/// Deploys every task and returns how each host ended, in the order of the tasks. `one` deploys a host; once
/// `stopping` answers true no further host is started.
pub async fn run<F, Fut>(
    tasks: Vec<HostDeploy>,
    rules: &Rules,
    one: F,
    stopping: impl Fn() -> bool,
) -> (Recap, Vec<Option<Deployed>>)
where
    F: Fn(HostDeploy) -> Fut,
    Fut: Future<Output = Deployed> + Send + 'static,
{
    let mut rollout = Rollout::new(tasks.len(), &rules.rollout.batch, rules.rollout.max_fail);
    let mut ended: Vec<Option<Deployed>> = tasks.iter().map(|_| None).collect();
    let mut first = true;
    while !stopping() {
        if !first && rules.rollout.pause_s > 0 {
            tokio::time::sleep(Duration::from_secs(rules.rollout.pause_s)).await;
        }
        let mut waiting: VecDeque<usize> = rollout.start().into();
        if waiting.is_empty() {
            break;
        }
        first = false;
        let mut running = JoinSet::new();
        loop {
            while running.len() < rules.forks.max(1)
                && !stopping()
                && let Some(number) = waiting.pop_front()
                && let Some(task) = tasks.get(number)
            {
                let host = task.host.clone();
                let work = one(task.clone());
                // A panic in one host's task is that host's failure alone.
                running.spawn(async move {
                    let done = tokio::spawn(work).await.unwrap_or_else(|panic| Deployed {
                        result: HostResult::new(host, Status::Failed, format!("internal error: {panic}")),
                        changes: Vec::new(),
                    });
                    (number, done)
                });
            }
            let Some(done) = running.join_next().await else { break };
            let Ok((number, deployed)) = done else { continue };
            rollout.ended(if deployed.result.status.is_bad() { Ended::Badly } else { Ended::Well });
            if let Some(place) = ended.get_mut(number) {
                *place = Some(deployed);
            }
        }
    }
    let results = ended
        .iter()
        .zip(&tasks)
        .map(|(done, task)| match done {
            Some(deployed) => deployed.result.clone(),
            None => HostResult::new(task.host.clone(), Status::Skipped, ""),
        })
        .collect();
    let stopped = if rollout.is_stopped() { Stopped::ByFailures } else { Stopped::No };
    (Recap { results, stopped }, ended)
}
