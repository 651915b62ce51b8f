//! The one polling loop of the tests: waits for a condition, never for an amount of time.

use std::time::{Duration, Instant};

/// How long a condition on this machine may take before a test calls it false: generous, because the
/// machine may be busy, and never a measure of speed.
pub const DEADLINE: Duration = Duration::from_secs(60);

const POLL_EVERY: Duration = Duration::from_millis(15);

/// Polls `condition` until it holds; `false` when it still does not after `deadline`.
#[must_use]
pub fn until(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    value(deadline, || condition().then_some(())).is_some()
}

/// Polls `probe` until it yields a value; `None` when it has none after `deadline`.
pub fn value<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        let found = probe();
        if found.is_some() || Instant::now() >= end {
            return found;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the pause between two polls, bounded by the deadline"
        )]
        std::thread::sleep(POLL_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_never_holds_ends_at_the_deadline() {
        assert!(!until(Duration::from_millis(30), || false));
    }

    #[test]
    fn a_value_is_returned_as_soon_as_there_is_one() {
        let mut polls = 0;
        let found = value(DEADLINE, || {
            polls += 1;
            (polls == 3).then_some(polls)
        });
        assert_eq!(found, Some(3));
    }
}
