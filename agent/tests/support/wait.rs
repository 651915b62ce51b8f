//! Waiting for what other processes do: one look after another, and one deadline for all.
#![expect(clippy::unwrap_used, reason = "a test that cannot even wait has failed")]

use std::time::{Duration, Instant};

use agent_runner::process::wait::wait_until;

/// How long anything may take before a test fails: far longer than it does on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until a condition holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    value(what, || holds().then_some(()));
}

/// Waits until there is something, and returns it.
pub(crate) fn value<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        wait_until(Instant::now() + LOOK).unwrap();
    }
}
