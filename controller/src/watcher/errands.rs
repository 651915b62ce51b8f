//! What is done beside the loop from time to time: what other processes said is folded in, and what is too old is removed
//! from the history. One of each at a time: a disk that hangs makes nothing pile up.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::fleetview::fold::Input;
use crate::fleetview::state::Fleet;
use crate::history::journal::Journal;

/// Ticks between two rounds of removing what is too old.
const PRUNE_TICKS: u64 = 600;
/// Between two parts of what is removed, so that what is told meanwhile gets its turn.
const PAUSE: Duration = Duration::from_millis(100);

/// What runs, and when it is due again.
#[derive(Debug, Default)]
pub(super) struct Errands {
    words: Option<AbortHandle>,
    prune: Option<AbortHandle>,
    ticks_to_prune: u64,
}

impl Errands {
    /// Starts what is due and does not run any more.
    pub(super) fn tick(
        &mut self,
        tasks: &mut JoinSet<()>,
        journal: &Journal,
        fleet: &Fleet,
        inputs: &mpsc::Sender<Input>,
    ) {
        if has_ended(&self.words) {
            self.words = Some(tasks.spawn(words(journal.clone(), fleet.clone(), inputs.clone())));
        }
        self.ticks_to_prune = self.ticks_to_prune.saturating_sub(1);
        if self.ticks_to_prune == 0 && has_ended(&self.prune) {
            self.ticks_to_prune = PRUNE_TICKS;
            self.prune = Some(tasks.spawn(prune(journal.clone(), fleet.now.wall)));
        }
    }
}

fn has_ended(task: &Option<AbortHandle>) -> bool {
    task.as_ref().is_none_or(AbortHandle::is_finished)
}

/// The history is asked beside the loop, so that a slow disk holds up no stream.
async fn words(journal: Journal, fleet: Fleet, inputs: mpsc::Sender<Input>) {
    match journal.words(fleet.now.wall).await {
        Ok(Some(words)) => {
            let acks: HashMap<_, _> = words.acks.into_iter().collect();
            for alert in fleet.alerts.open() {
                let ack = acks.get(&alert.key).cloned();
                // What this process notes itself is in the file before it is in the fleet.
                if ack != alert.acked {
                    let _ = inputs.send(Input::Acknowledged(alert.key.clone(), ack)).await;
                }
            }
            let _ = inputs.send(Input::Silences(std::sync::Arc::new(words.silences))).await;
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the history cannot be read"),
    }
}

/// Removes all that is too old, a part at a time.
async fn prune(journal: Journal, now: Timestamp) {
    loop {
        match journal.prune(now).await {
            Ok(true) => tokio::time::sleep(PAUSE).await,
            Ok(false) => return,
            Err(error) => return tracing::warn!(%error, "old history cannot be removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use agent_runner_inventory::Monitor;
    use jiff::SignedDuration;
    use tokio::time::timeout;

    use super::*;
    use crate::fleetview::beginning::Beginning;
    use crate::fleetview::state::Moment;
    use crate::history::query::Wanted;
    use crate::history::{Entry, Store};

    const DEADLINE: Duration = Duration::from_secs(120);

    fn fleet(now: Timestamp) -> Fleet {
        Fleet::new(Beginning::default(), &Monitor::default(), Moment { wall: now, mono: Duration::ZERO })
    }

    fn lines(path: &Path) -> usize {
        let all = Wanted { since: Timestamp::UNIX_EPOCH, hosts: None, kinds: Vec::new(), most: usize::MAX };
        Store::open(path).unwrap().log(&all).unwrap().len()
    }

    fn log(at: Timestamp) -> Entry {
        let [host, project, name] = ["pi1", "research", "agent_exit"].map(str::to_owned);
        Entry::Log { at, host, project, kind: "event", name, body: "{}".to_owned() }
    }

    #[tokio::test]
    async fn all_that_is_too_old_is_removed_in_one_round_however_much_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("h.db");
        let now = "2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap();
        let old = now.checked_sub(SignedDuration::from_hours(91 * 24)).unwrap();
        let mut store = Store::open(&path).unwrap();
        let mut entries = vec![log(old); 65_000];
        entries.push(log(now));
        store.write(&entries).unwrap();
        let (mut tasks, (inputs, _taken)) = (JoinSet::new(), mpsc::channel(16));
        Errands::default().tick(&mut tasks, &Journal::start(store).unwrap(), &fleet(now), &inputs);
        timeout(DEADLINE, async { while tasks.join_next().await.is_some() {} }).await.unwrap();
        assert_eq!(lines(&path), 1);
    }

    #[tokio::test]
    async fn while_the_disk_hangs_nothing_piles_up_and_afterwards_it_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::start(Store::open(&dir.path().join("h.db")).unwrap()).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let (mut tasks, (inputs, mut taken)) = (JoinSet::new(), mpsc::channel(16));
        let mut errands = Errands::default();
        // Nothing is awaited, and this runtime has one thread: what was started cannot end.
        for _ in 0..2 * PRUNE_TICKS {
            errands.tick(&mut tasks, &journal, &fleet(now), &inputs);
        }
        assert_eq!(tasks.len(), 2);
        timeout(DEADLINE, async { while tasks.join_next().await.is_some() {} }).await.unwrap();
        assert!(matches!(taken.recv().await, Some(Input::Silences(_))));
        errands.tick(&mut tasks, &journal, &fleet(now), &inputs);
        assert_eq!(tasks.len(), 2, "each begins again");
    }
}
