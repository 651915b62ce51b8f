//! The service verbs and `apply`, with the real program in a home folder of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

#[path = "support/git.rs"]
mod git;
#[path = "support/running.rs"]
mod running;
#[path = "../../tests/harness/skipped.rs"]
mod skipped;
#[path = "support/wait.rs"]
mod wait;

mod service {
    /// A host: a home folder, a git work tree, the program, and everything it started ended at the end.
    mod host;

    /// Root acting for an account whose files may name and lead to anything.
    mod as_root;
    /// What `apply --check` finds, and that it writes nothing.
    mod check;
    /// A detached service from start to kill.
    mod detached;
    /// What `doctor` says.
    mod doctor;
    /// Back to the release before, the lock of a person, and parts of a manifest.
    mod rollback;
    /// Switches: made, confirmed, put back, interrupted at every step.
    mod switch;
    /// Units as systemd reads them.
    mod units;
    /// Another program in this one's place.
    mod upgrade;
}
