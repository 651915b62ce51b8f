//! Who is deployed next: batches, the canary and the failure threshold. Pure.

use std::collections::VecDeque;

use agent_runner_inventory::{Batch, Share};

/// How one host ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is as it shall be.
    Well,
    /// It is not: failed, reverted or unreachable.
    Badly,
}

/// The state of one rollout. Batches open one after another, when all hosts of the one before have ended; the hosts of
/// an open batch are started one by one, each only while the threshold holds. Behind a canary gate nobody is started
/// after the first failure until the whole first batch has ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    batches: VecDeque<VecDeque<usize>>,
    open: VecDeque<usize>,
    outstanding: usize,
    failed: usize,
    allowed: usize,
    /// How many hosts of a gating first batch have not ended well.
    canaries: usize,
}

impl Rollout {
    /// Returns the rollout of `hosts` hosts, numbered from 0 in the order they are deployed. The last entry of
    /// `batches` repeats; none is one batch of all. More than `max_fail` failures end it: with `0`, the first does.
    pub fn new(hosts: usize, batches: &[Batch], max_fail: Share) -> Rollout {
        let mut rest: VecDeque<usize> = (0..hosts).collect();
        let mut split = VecDeque::new();
        let mut sizes = batches.iter();
        let mut size = sizes.next().map_or(hosts.max(1), |batch| batch.size(hosts));
        while !rest.is_empty() {
            split.push_back(rest.drain(..size.min(rest.len())).collect());
            size = sizes.next().map_or(size, |batch| batch.size(hosts));
        }
        let open = VecDeque::new();
        let allowed = max_fail.floor_of(hosts);
        Rollout { batches: split, open, outstanding: 0, failed: 0, allowed, canaries: 0 }
    }

    /// Lets the first batch be a gate: its first failure ends the rollout, whatever the threshold is.
    #[must_use]
    pub fn behind_canaries(mut self) -> Rollout {
        self.canaries = self.batches.front().map_or(0, VecDeque::len);
        self
    }

    /// Returns the sizes of the batches that have not been opened.
    pub fn sizes(&self) -> Vec<usize> {
        self.batches.iter().map(VecDeque::len).collect()
    }

    /// Opens the next batch and returns how many hosts are in it: none while one of the batch before is at work or to
    /// be started, beyond the threshold, or after the last batch.
    pub fn open_batch(&mut self) -> usize {
        if self.outstanding > 0 || !self.open.is_empty() || self.is_stopped() {
            return 0;
        }
        self.open = self.batches.pop_front().unwrap_or_default();
        self.open.len()
    }

    /// Returns the next host of the open batch, which is started now; `None` when there is none, and beyond the
    /// threshold.
    pub fn start(&mut self) -> Option<usize> {
        if self.is_stopped() {
            return None;
        }
        let host = self.open.pop_front()?;
        self.outstanding += 1;
        Some(host)
    }

    /// Records how a started host ended.
    pub fn ended(&mut self, how: Ended) {
        self.outstanding = self.outstanding.saturating_sub(1);
        match how {
            Ended::Well => self.canaries = self.canaries.saturating_sub(1),
            Ended::Badly => self.failed += 1,
        }
    }

    /// Returns whether more hosts failed than may: no further one is started.
    pub fn is_stopped(&self) -> bool {
        // A canary that failed never ends well, so the gate it has shut stays shut.
        self.failed > if self.canaries > 0 { 0 } else { self.allowed }
    }

    /// Returns the hosts that have not been started.
    pub fn never_started(&self) -> Vec<usize> {
        self.open.iter().chain(self.batches.iter().flatten()).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes(hosts: usize, batches: &[Share]) -> Vec<usize> {
        let batches: Vec<Batch> = batches.iter().copied().map(Batch).collect();
        let mut rollout = Rollout::new(hosts, &batches, Share::Percent(100));
        let mut sizes = Vec::new();
        loop {
            let size = rollout.open_batch();
            if size == 0 {
                return sizes;
            }
            sizes.push(size);
            while rollout.start().is_some() {
                rollout.ended(Ended::Well);
            }
        }
    }

    #[test]
    fn batches_grow_as_configured_and_the_last_repeats() {
        assert_eq!(sizes(40, &[Share::Count(1), Share::Percent(10), Share::Percent(50)]), [1, 4, 20, 15]);
        assert_eq!(sizes(3, &[Share::Percent(10)]), [1, 1, 1]);
        assert_eq!(sizes(5, &[]), [5]);
        assert_eq!(sizes(0, &[Share::Count(1)]), [0; 0]);
    }

    proptest! {
        #[test]
        fn after_the_threshold_no_host_is_started_whoever_is_at_work(
            hosts in 0usize..60, batch in prop::collection::vec(1u32..20, 0..4), max_fail in 0usize..10,
            forks in 1usize..9, canary in any::<bool>(), fates in prop::collection::vec(any::<bool>(), 60),
            turns in prop::collection::vec(any::<prop::sample::Index>(), 60),
        ) {
            let batches: Vec<Batch> = batch.into_iter().map(|count| Batch(Share::Count(count))).collect();
            let mut rollout = Rollout::new(hosts, &batches, Share::Count(u32::try_from(max_fail).unwrap()));
            let first = rollout.sizes().first().copied().unwrap_or_default();
            if canary {
                rollout = rollout.behind_canaries();
            }
            let limit = |well: usize| if canary && well < first { 0 } else { max_fail };
            let (mut started, mut at_work) = (Vec::new(), Vec::new());
            let (mut failed, mut well, mut left) = (0, 0, 0);
            let mut turns = turns.into_iter();
            loop {
                while at_work.len() < forks {
                    if at_work.is_empty() && left == 0 {
                        left = rollout.open_batch();
                    } else {
                        // While one of the batch is at work or waits, no other batch opens.
                        prop_assert_eq!(rollout.open_batch(), 0);
                    }
                    let Some(host) = rollout.start() else { break };
                    prop_assert!(failed <= limit(well));
                    prop_assert!(!started.contains(&host));
                    started.push(host);
                    at_work.push(host);
                    left -= 1;
                }
                if at_work.is_empty() {
                    break;
                }
                // Whoever ends first: at most one ends for each host.
                let host = at_work.swap_remove(turns.next().unwrap().index(at_work.len()));
                failed += usize::from(!fates[host]);
                well += usize::from(fates[host]);
                rollout.ended(if fates[host] { Ended::Well } else { Ended::Badly });
            }
            let mut all = started.clone();
            all.extend(rollout.never_started());
            all.sort_unstable();
            prop_assert_eq!(all, (0..hosts).collect::<Vec<_>>());
            prop_assert!(rollout.is_stopped() == (failed > limit(well)));
            prop_assert!(rollout.is_stopped() || started.len() == hosts);
        }
    }
}
