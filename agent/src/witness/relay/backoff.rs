//! When a lost link is tried again, and when it is given up: pure.

use std::time::{Duration, Instant};

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The exponent that reaches it.
const DOUBLINGS: u32 = 5;
/// A connection that held this long was up, whether or not anything was said.
const HELD: Duration = Duration::from_secs(60);

/// A link's luck so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Link {
    down_since: Option<Instant>,
    failures: u32,
}

/// One failed connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    /// When it was begun.
    pub(super) begun: Instant,
    /// When it was over.
    pub(super) over: Instant,
    /// Whether a line came.
    pub(super) spoke: bool,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Failures in a row.
    pub(super) attempt: u32,
    /// How long the link has been down.
    pub(super) elapsed: Duration,
    /// The pause before the next try; `None` gives up.
    pub(super) pause: Option<Duration>,
}

impl Link {
    /// Judges a failed connection. A tolerance of zero never tries again.
    pub(super) fn failed(&mut self, failure: Failure, tolerance: Duration) -> Verdict {
        let was_up = failure.spoke || failure.over.duration_since(failure.begun) >= HELD;
        if was_up {
            *self = Link::default();
        }
        let down_from = if was_up { failure.over } else { failure.begun };
        let down_since = *self.down_since.get_or_insert(down_from);
        self.failures = self.failures.saturating_add(1);
        let elapsed = failure.over.duration_since(down_since);
        let left = tolerance.saturating_sub(elapsed);
        let doubled = Duration::from_secs(1 << (self.failures - 1).min(DOUBLINGS)).min(PAUSE_MAX);
        let pause = (!left.is_zero()).then_some(doubled.min(left));
        Verdict { attempt: self.failures, elapsed, pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Duration = Duration::from_secs(90);

    fn failure(from: Instant, at_s: u64, took_s: u64) -> Failure {
        let begun = from + Duration::from_secs(at_s);
        Failure { begun, over: begun + Duration::from_secs(took_s), spoke: false }
    }

    fn pause_s(verdict: Verdict) -> Option<u64> {
        verdict.pause.map(|pause| pause.as_secs())
    }

    #[test]
    fn pauses_double_up_to_half_a_minute_and_never_pass_the_tolerance() {
        let (start, mut link, mut at) = (Instant::now(), Link::default(), 0);
        let mut pauses = Vec::new();
        while let Some(pause) = pause_s(link.failed(failure(start, at, 0), TOLERANCE)) {
            pauses.push(pause);
            at += pause;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 29]);
        assert_eq!(at, 90);
    }

    #[test]
    fn time_spent_connecting_counts_as_down() {
        let (start, mut link) = (Instant::now(), Link::default());
        assert_eq!(pause_s(link.failed(failure(start, 0, 45), TOLERANCE)), Some(1));
        let last = link.failed(failure(start, 46, 44), TOLERANCE);
        assert_eq!((last.pause, last.attempt, last.elapsed.as_secs()), (None, 2, 90));
    }

    #[test]
    fn a_line_or_a_connection_that_held_starts_the_clock_again() {
        let (start, mut link) = (Instant::now(), Link::default());
        link.failed(failure(start, 0, 0), TOLERANCE);
        link.failed(failure(start, 1, 0), TOLERANCE);
        let spoke = Failure { spoke: true, ..failure(start, 80, 5) };
        let verdict = link.failed(spoke, TOLERANCE);
        assert_eq!((verdict.attempt, verdict.elapsed, pause_s(verdict)), (1, Duration::ZERO, Some(1)));
        let held = link.failed(failure(start, 90, 3600), TOLERANCE);
        assert_eq!((held.attempt, held.elapsed, pause_s(held)), (1, Duration::ZERO, Some(1)));
    }

    #[test]
    fn no_tolerance_never_tries_again() {
        let spoke = Failure { spoke: true, ..failure(Instant::now(), 0, 500) };
        assert_eq!(Link::default().failed(spoke, Duration::ZERO).pause, None);
    }
}
