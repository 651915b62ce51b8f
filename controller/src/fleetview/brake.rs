//! The brake: the controller by itself never stops more than a share of the fleet within ten minutes. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use agent_runner_inventory::Share;
use jiff::SignedDuration;

use super::state::StreamId;

/// The time over which stops are counted.
pub const WINDOW: Duration = Duration::from_secs(600);
/// The same, on the wall clock.
pub const MEMORY: SignedDuration = SignedDuration::from_secs(600);

/// The controller's recent stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brake {
    allowed: usize,
    /// The newest of each stream, the oldest first.
    stops: VecDeque<(Duration, StreamId)>,
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

    /// Counts one more stop at `now` and returns true, unless it would be one too many. A stream that is stopped again
    /// within the window keeps its one place: it cannot use up those of the others.
    pub fn take(&mut self, now: Duration, stream: &StreamId) -> bool {
        while self.stops.front().is_some_and(|(at, _)| now.saturating_sub(*at) >= WINDOW) {
            self.stops.pop_front();
        }
        while self.earlier.front().is_some_and(|&until| now >= until) {
            self.earlier.pop_front();
        }
        let again = self.stops.iter().position(|(_, stopped)| stopped == stream);
        let free = again.is_some() || self.stops.len() + self.earlier.len() < self.allowed;
        if free {
            again.and_then(|place| self.stops.remove(place));
            self.stops.push_back((now, stream.clone()));
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(host: &str) -> StreamId {
        StreamId { host: host.into(), project: "p".into() }
    }

    #[test]
    fn a_stream_that_is_stopped_again_and_again_takes_one_place() {
        let mut brake = Brake::new(Share::Count(2), 100);
        let at = Duration::from_secs;
        for second in 0..500 {
            assert!(brake.take(at(second), &id("churning")));
        }
        assert!(brake.take(at(500), &id("a")));
        assert!(!brake.take(at(501), &id("b")));
        assert!(brake.take(at(502), &id("churning")));
        assert!(!brake.take(at(1099), &id("b")), "the places of the churning one and of a");
        assert!(brake.take(at(1100), &id("b")));
        assert!(!brake.take(at(1101), &id("c")));
    }

    #[test]
    fn no_more_than_the_share_within_the_window() {
        let mut brake = Brake::new(Share::Percent(25), 8);
        let at = Duration::from_secs;
        assert!(brake.take(at(0), &id("h1")));
        assert!(brake.take(at(100), &id("h2")));
        assert!(!brake.take(at(599), &id("h3")));
        assert!(brake.take(at(600), &id("h4")));
        assert!(!brake.take(at(601), &id("h5")));
        assert!(brake.take(at(700), &id("h6")));
    }

    #[test]
    fn stops_of_an_earlier_run_count_until_their_time_is_over() {
        let mut brake = Brake::new(Share::Count(2), 100);
        let at = Duration::from_secs;
        brake.remember(at(0), vec![at(590), at(100), at(700)]);
        assert!(!brake.take(at(5), &id("h7")));
        assert!(brake.take(at(10), &id("h8")));
        assert!(!brake.take(at(499), &id("h9")));
        assert!(brake.take(at(500), &id("h10")));
    }

    #[test]
    fn a_small_fleet_may_have_one_stop_and_zero_means_none() {
        assert!(Brake::new(Share::Percent(25), 3).take(Duration::ZERO, &id("a")));
        assert!(!Brake::new(Share::Percent(0), 300).take(Duration::ZERO, &id("a")));
    }
}
