//! The `round` verb against real processes, real git and scripted `sh` agents.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

#[path = "support/events.rs"]
mod events;
#[path = "support/git.rs"]
mod git;
#[path = "../../tests/harness/skipped.rs"]
mod skipped;
#[path = "support/wait.rs"]
mod wait;

mod round;
