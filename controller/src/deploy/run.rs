//! A whole rollout: batch after batch, each host by [`super::host`], until all are done or too many failed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_runner_inventory as inventory;

use super::host::{self, Deployed, HostDeploy};
use super::rollout::{Ended, Rollout};
use crate::fanout::{self, FanoutOptions, Outcome};
use crate::output::progress::Progress;
use crate::output::recap::{self, HostResult, Recap, Status, Stopped};
use crate::runs::Recorder;
use crate::ssh::Client;

/// How a rollout is done, and who is told of it.
#[derive(Debug)]
pub struct Conduct<'a> {
    /// Batches and limits.
    pub rules: &'a inventory::Rollout,
    /// How many hosts at once, and how Ctrl-C reaches us.
    pub options: FanoutOptions,
    /// Who shows it.
    pub progress: Arc<Progress>,
    /// Who remembers it.
    pub record: Recorder,
}

/// Deploys every task and returns how each host ended, in the order of the tasks. After the threshold, or once the
/// run is called off, no further host is started.
pub async fn run(client: &Client, tasks: Vec<HostDeploy>, conduct: &Conduct<'_>) -> (Recap, Vec<Deployed>) {
    let Conduct { rules, options, progress, record } = conduct;
    let mut rollout = Rollout::new(tasks.len(), &rules.batch, rules.max_fail);
    let mut ended: BTreeMap<usize, Deployed> = BTreeMap::new();
    while !options.cancel.is_stopping() {
        let batch = rollout.start();
        if batch.is_empty() {
            break;
        }
        if !ended.is_empty() && rules.pause_s > 0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(rules.pause_s)) => {}
                () = options.cancel.stopping() => break,
            }
        }
        let items =
            batch.into_iter().filter_map(|number| Some((number, tasks.get(number)?.clone()))).collect();
        let (client, steps) = (client.clone(), progress.clone());
        let mut outcomes = fanout::run(items, options.clone(), move |(_, task): (usize, HostDeploy)| {
            let (client, steps) = (client.clone(), steps.clone());
            async move { host::deploy(&client, &task, |what| steps.step(&task.host, what)).await }
        });
        while let Some(((number, task), outcome)) = outcomes.recv().await {
            let deployed = judged(&task.host, outcome);
            progress.ended(&deployed.result);
            record.host(&deployed.result);
            rollout.ended(if deployed.result.status.is_bad() { Ended::Badly } else { Ended::Well });
            ended.insert(number, deployed);
        }
    }
    let skipped = |host: &str| HostResult::new(host, Status::Skipped, "");
    let results = tasks.iter().enumerate().map(|(number, task)| {
        ended.get(&number).map_or_else(|| skipped(&task.host), |deployed| deployed.result.clone())
    });
    // The last host's failure stops nothing any more.
    let held_back = rollout.is_stopped() && !rollout.never_started().is_empty();
    let stopped = match (held_back, options.cancel.is_stopping()) {
        (true, _) => Stopped::ByFailures,
        (false, true) => Stopped::ByInterrupt,
        (false, false) => Stopped::No,
    };
    (Recap { results: results.collect(), stopped }, ended.into_values().collect())
}

fn judged(host: &str, outcome: Outcome<Deployed>) -> Deployed {
    match outcome {
        Outcome::Done(deployed) => deployed,
        Outcome::TimedOut(_) | Outcome::Panicked(_) | Outcome::Aborted | Outcome::Skipped => {
            Deployed::only(recap::of_outcome(host, outcome, |deployed| deployed.result))
        }
    }
}
