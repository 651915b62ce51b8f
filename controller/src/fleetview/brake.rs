//! The brake: the controller by itself never stops services on more than a share of the hosts within ten minutes. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_runner_inventory::Share;
use jiff::SignedDuration;

/// The time over which stops are counted.
pub const WINDOW: Duration = Duration::from_secs(600);
/// The same, on the wall clock.
pub const MEMORY: SignedDuration = SignedDuration::from_secs(600);

/// The hosts that the controller has stopped something on lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brake {
    allowed: usize,
    /// Until when each of them counts.
    until: BTreeMap<Arc<str>, Duration>,
}

impl Brake {
    /// Returns the brake of a fleet of `hosts`. A share above zero allows at least one of them; zero allows none.
    pub fn new(share: Share, hosts: usize) -> Brake {
        let allowed = match share {
            Share::Count(0) | Share::Percent(0) => 0,
            Share::Count(_) | Share::Percent(_) => share.floor_of(hosts).max(1),
        };
        Brake { allowed, until: BTreeMap::new() }
    }

    /// Counts stops of an earlier run, given by their host and by how long ago each was.
    pub fn remember(&mut self, now: Duration, stops: Vec<(Arc<str>, Duration)>) {
        for (host, ago) in stops {
            // It lies before this run's clock began: it counts as long as it has left, from now on.
            let Some(left) = WINDOW.checked_sub(ago) else { continue };
            let until = self.until.entry(host).or_default();
            *until = (*until).max(now + left);
        }
    }

    /// Counts a stop on a host at `now` and returns true, unless it would be one host too many. A host takes one place,
    /// however many projects it has and however often they are stopped: it cannot use up those of the others.
    pub fn take(&mut self, now: Duration, host: &Arc<str>) -> bool {
        self.until.retain(|_, until| *until > now);
        let free = self.until.contains_key(host) || self.until.len() < self.allowed;
        if free {
            self.until.insert(host.clone(), now + WINDOW);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for stops, each at a second and on a host, and compares with which of them were free.
    fn check(mut brake: Brake, stops: &[(u64, &str, bool)]) {
        for &(second, host, free) in stops {
            let taken = brake.take(Duration::from_secs(second), &host.into());
            assert_eq!(taken, free, "{host} at {second} s of {stops:?}");
        }
    }

    #[test]
    fn a_host_that_is_stopped_again_and_again_takes_one_place() {
        let mut brake = Brake::new(Share::Count(2), 100);
        for second in 0..500 {
            assert!(brake.take(Duration::from_secs(second), &"churning".into()));
        }
        check(
            brake,
            &[
                (500, "a", true),
                (501, "b", false),
                (502, "churning", true),
                // The places of the churning one and of a.
                (1099, "b", false),
                (1100, "b", true),
                (1101, "c", false),
            ],
        );
    }

    #[test]
    fn no_more_than_the_share_within_the_window() {
        check(
            Brake::new(Share::Percent(25), 8),
            &[
                (0, "h1", true),
                (100, "h2", true),
                (599, "h3", false),
                (600, "h4", true),
                (601, "h5", false),
                (700, "h6", true),
            ],
        );
    }

    #[test]
    fn stops_of_an_earlier_run_count_until_their_time_is_over_and_by_their_host() {
        let earlier = |stops: &[(&str, u64)]| {
            let mut brake = Brake::new(Share::Count(2), 100);
            let stops = stops.iter().map(|&(host, ago)| (host.into(), Duration::from_secs(ago)));
            brake.remember(Duration::ZERO, stops.collect());
            brake
        };
        check(
            earlier(&[("a", 590), ("b", 100), ("c", 700)]),
            &[(5, "h7", false), (5, "b", true), (10, "h8", true), (499, "h9", false)],
        );
        // Two projects of one host were stopped: one place, until the later of them is over.
        check(
            earlier(&[("a", 590), ("a", 100)]),
            &[(0, "h1", true), (0, "h2", false), (499, "h2", false), (500, "h2", true)],
        );
    }

    #[test]
    fn a_small_fleet_may_have_one_stop_and_zero_means_none() {
        check(Brake::new(Share::Percent(25), 3), &[(0, "a", true), (0, "b", false), (1, "a", true)]);
        check(Brake::new(Share::Percent(0), 300), &[(0, "a", false)]);
    }
}
