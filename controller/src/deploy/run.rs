//! A whole rollout: batch after batch, each host by [`super::host`], until all are done or too many failed.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use agent_runner_inventory as inventory;

use super::host::{self, Deployed, HostDeploy};
use super::rollout::Rollout;
use super::turn::{Turn, Turns};
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
    /// Whether a failure in the first batch ends it, whatever the limit is.
    pub canary: bool,
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
    let (client, steps) = (client.clone(), conduct.progress.clone());
    let name: fn(&HostDeploy) -> &str = |task| &task.host;
    roll((tasks, name), conduct, move |task: HostDeploy, mut turn: Turn| {
        let (client, steps) = (client.clone(), steps.clone());
        async move {
            let deployed = host::deploy(&client, &task, &mut turn, |what| steps.step(&task.host, what)).await;
            turn.end(deployed)
        }
    })
    .await
}

/// As [`run`], with tasks of any kind and their names, each done by `work`.
async fn roll<T, F, W>(
    (tasks, name): (Vec<T>, fn(&T) -> &str),
    conduct: &Conduct<'_>,
    work: F,
) -> (Recap, Vec<Deployed>)
where
    T: Clone + Send + Sync + 'static,
    F: Fn(T, Turn) -> W + Clone + Send + 'static,
    W: Future<Output = Deployed> + Send + 'static,
{
    let Conduct { rules, canary, options, progress, record } = conduct;
    let rollout = Rollout::new(tasks.len(), &rules.batch, rules.max_fail);
    let rollout = if *canary { rollout.behind_canaries() } else { rollout };
    let turns = Turns::new(rollout, options.forks.get(), options.cancel.clone());
    let tasks = Arc::new(tasks);
    let mut ended: BTreeMap<usize, Deployed> = BTreeMap::new();
    while !options.cancel.is_stopping() && turns.rollout().open_batch() > 0 {
        if !ended.is_empty() && rules.pause_s > 0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(rules.pause_s)) => {}
                () = options.cancel.stopping() => break,
            }
        }
        let (next, of) = (turns.clone(), tasks.clone());
        let items = std::iter::from_fn(move || {
            let number = next.rollout().start()?;
            Some((number, of.get(number)?.clone()))
        });
        let (turns, work) = (turns.clone(), work.clone());
        let mut outcomes =
            fanout::run(items, options.clone(), move |(_, task)| work(task, turns.of_started()));
        while let Some(((number, task), outcome)) = outcomes.recv().await {
            let deployed = judged(name(&task), outcome);
            progress.ended(&deployed.result);
            record.host(&deployed.result, deployed.key.as_deref());
            ended.insert(number, deployed);
        }
    }
    let skipped = |task: &T| HostResult::new(name(task), Status::Skipped, "");
    let results = tasks.iter().enumerate().map(|(number, task)| {
        ended.get(&number).map_or_else(|| skipped(task), |deployed| deployed.result.clone())
    });
    let results: Vec<HostResult> = results.collect();
    // The last host's failure stops nothing any more.
    let held_back =
        turns.rollout().is_stopped() && results.iter().any(|result| result.status == Status::Skipped);
    let stopped = match (held_back, options.cancel.is_stopping()) {
        (true, _) => Stopped::ByFailures,
        (false, true) => Stopped::ByInterrupt,
        (false, false) => Stopped::No,
    };
    (Recap { results, stopped }, ended.into_values().collect())
}

fn judged(host: &str, outcome: Outcome<Deployed>) -> Deployed {
    match outcome {
        Outcome::Done(deployed) => deployed,
        Outcome::TimedOut(_) | Outcome::Panicked(_) | Outcome::Aborted | Outcome::Skipped => {
            Deployed::only(recap::of_outcome(host, outcome, |deployed| deployed.result))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use agent_runner_inventory::{Batch, Share};
    use proptest::prelude::*;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::cancel::Cancel;
    use crate::output::progress::Show;
    use crate::slot;

    const NAME: fn(&usize) -> &str = |number| if number % 2 == 0 { "even" } else { "odd" };

    fn rules(batch: &[Share], max_fail: u32) -> inventory::Rollout {
        let batch = batch.iter().copied().map(Batch).collect();
        inventory::Rollout { batch, max_fail: Share::Count(max_fail), ..inventory::Rollout::default() }
    }

    fn conduct(rules: &inventory::Rollout, forks: usize) -> Conduct<'_> {
        let options = FanoutOptions {
            forks: NonZeroUsize::new(forks).unwrap(),
            most: NonZeroUsize::new(1000).unwrap(),
            per_host_deadline: None,
            cancel: Cancel::new(),
        };
        let progress = Arc::new(Progress::new(Show::Nothing, "deploy", 0));
        Conduct { rules, canary: false, options, progress, record: Recorder::default() }
    }

    fn ends(turn: Turn, status: Status) -> Deployed {
        turn.end(Deployed::only(HostResult::new("host", status, "")))
    }

    fn count(recap: &Recap, status: Status) -> usize {
        recap.results.iter().filter(|result| result.status == status).count()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_host_is_started_after_the_threshold_whatever_forks_and_batches_are(
            hosts in 1usize..30, forks in 1usize..6, batch in prop::collection::vec(1u32..20, 0..3),
            max_fail in 0u32..4, canary in any::<bool>(), fates in prop::collection::vec(0u8..4, 30),
            lengths in prop::collection::vec(0usize..4, 30),
        ) {
            let batch: Vec<Share> = batch.into_iter().map(Share::Count).collect();
            let rules = rules(&batch, max_fail);
            let first = Rollout::new(hosts, &rules.batch, rules.max_fail).sizes()[0];
            let limit = move |well: usize| if canary && well < first { 0 } else { max_fail as usize };
            let (failed, well) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let late = Arc::new(AtomicUsize::new(0));
            let (fell, stood, after) = (failed.clone(), well.clone(), late.clone());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let conduct = Conduct { canary, ..conduct(&rules, forks) };
            let (recap, _) = runtime.block_on(roll(((0..hosts).collect(), NAME), &conduct, {
                let fates = fates.clone();
                move |host: usize, mut turn: Turn| {
                    let (fate, length) = (fates[host], lengths[host]);
                    let (failed, well) = (fell.clone(), stood.clone());
                    let too_many = failed.load(Ordering::SeqCst) > limit(well.load(Ordering::SeqCst));
                    after.fetch_add(usize::from(too_many), Ordering::SeqCst);
                    async move {
                        for _ in 0..length {
                            tokio::task::yield_now().await;
                        }
                        if !turn.comes().await {
                            return ends(turn, Status::Skipped);
                        }
                        if fate > 0 {
                            well.fetch_add(1, Ordering::SeqCst);
                            return ends(turn, Status::Changed);
                        }
                        failed.fetch_add(1, Ordering::SeqCst);
                        ends(turn, Status::Failed)
                    }
                }
            }));
            prop_assert_eq!(late.load(Ordering::SeqCst), 0);
            let failed = failed.load(Ordering::SeqCst);
            prop_assert!(failed <= max_fail as usize + forks);
            prop_assert_eq!(count(&recap, Status::Failed), failed);
            let skipped = count(&recap, Status::Skipped);
            prop_assert_eq!(recap.stopped == Stopped::ByFailures, skipped > 0);
            prop_assert!(skipped == 0 || failed > limit(well.load(Ordering::SeqCst)));
        }
    }

    #[tokio::test]
    async fn a_host_that_was_cut_short_or_hit_a_bug_counts_as_a_failure() {
        let rules = rules(&[Share::Percent(100)], 0);
        let conduct = conduct(&rules, 1);
        let (recap, _) = roll((vec![0, 1, 2], NAME), &conduct, |_, turn: Turn| async move {
            let _turn = turn;
            panic!("a bug")
        })
        .await;
        assert_eq!((count(&recap, Status::Failed), count(&recap, Status::Skipped)), (1, 2));
        assert_eq!(recap.stopped, Stopped::ByFailures);
    }

    #[tokio::test]
    async fn silent_hosts_keep_nobody_from_their_turn_and_are_left_alone_when_the_release_is_bad() {
        let rules = rules(&[Share::Percent(100)], 0);
        let answers = Arc::new(Semaphore::new(0));
        let (silence, at_work) = (answers.clone(), Arc::new(AtomicUsize::new(0)));
        let conduct = conduct(&rules, 1);
        let (recap, _) = roll(((0..8).collect(), NAME), &conduct, move |host: usize, mut turn: Turn| {
            let (silence, at_work) = (silence.clone(), at_work.clone());
            async move {
                // Six are silent until the last host is at work, which fails.
                if host < 6 {
                    drop(slot::waiting(silence.acquire()).await);
                }
                if !turn.comes().await {
                    return ends(turn, Status::Skipped);
                }
                assert_eq!(at_work.fetch_add(1, Ordering::SeqCst), 0);
                let status = if host == 7 { Status::Failed } else { Status::Changed };
                if host == 7 {
                    silence.add_permits(6);
                    for _ in 0..100 {
                        tokio::task::yield_now().await;
                    }
                }
                at_work.fetch_sub(1, Ordering::SeqCst);
                ends(turn, status)
            }
        })
        .await;
        let ends = [Status::Changed, Status::Failed, Status::Skipped].map(|status| count(&recap, status));
        assert_eq!((ends, recap.stopped), ([1, 1, 6], Stopped::ByFailures), "{recap:?}");
    }
}
