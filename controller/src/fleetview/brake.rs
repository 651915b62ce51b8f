//! The brake: the controller by itself never stops more than a share of the fleet within ten minutes. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use agent_runner_inventory::Share;
use jiff::SignedDuration;

/// The time over which stops are counted.
pub const WINDOW: Duration = Duration::from_secs(600);
/// The same, on the wall clock.
pub const MEMORY: SignedDuration = SignedDuration::from_secs(600);

/// The controller's recent stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brake {
    allowed: usize,
    stops: VecDeque<Duration>,
    /// Until when each stop of an earlier run counts.
    earlier: VecDeque<Duration>,
}

impl Brake {
    /// Returns the brake of a fleet of `hosts`. A share above zero allows at least one stop; zero allows none.
    pub fn new(share: Share, hosts: usize) -> Brake {
        let allowed = match share {
            Share::Count(0) | Share::Percent(0) => 0,
            Share::Count(_) | Share::Percent(_) => share.floor_of(hosts).max(1),
        };
        Brake { allowed, stops: VecDeque::new(), earlier: VecDeque::new() }
    }

    /// Counts stops of an earlier run, given by how long ago each was.
    pub fn remember(&mut self, now: Duration, ago: Vec<Duration>) {
        let left = ago.into_iter().filter_map(|ago| WINDOW.checked_sub(ago));
        // A stop of an earlier run lies before this run's clock began: it counts as long as it has left, from now on.
        let mut until: Vec<Duration> = left.map(|left| now + left).collect();
        until.sort_unstable();
        self.earlier = until.into();
    }

    /// Counts one more stop at `now` and returns true, unless it would be one too many.
    pub fn take(&mut self, now: Duration) -> bool {
        while self.stops.front().is_some_and(|&at| now.saturating_sub(at) >= WINDOW) {
            self.stops.pop_front();
        }
        while self.earlier.front().is_some_and(|&until| now >= until) {
            self.earlier.pop_front();
        }
        let free = self.stops.len() + self.earlier.len() < self.allowed;
        if free {
            self.stops.push_back(now);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_share_within_the_window() {
        let mut brake = Brake::new(Share::Percent(25), 8);
        let at = Duration::from_secs;
        assert!(brake.take(at(0)));
        assert!(brake.take(at(100)));
        assert!(!brake.take(at(599)));
        assert!(brake.take(at(600)));
        assert!(!brake.take(at(601)));
        assert!(brake.take(at(700)));
    }

    #[test]
    fn stops_of_an_earlier_run_count_until_their_time_is_over() {
        let mut brake = Brake::new(Share::Count(2), 100);
        let at = Duration::from_secs;
        brake.remember(at(0), vec![at(590), at(100), at(700)]);
        assert!(!brake.take(at(5)));
        assert!(brake.take(at(10)));
        assert!(!brake.take(at(499)));
        assert!(brake.take(at(500)));
    }

    #[test]
    fn a_small_fleet_may_have_one_stop_and_zero_means_none() {
        assert!(Brake::new(Share::Percent(25), 3).take(Duration::ZERO));
        assert!(!Brake::new(Share::Percent(0), 300).take(Duration::ZERO));
    }
}
