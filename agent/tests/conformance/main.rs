//! The contract, rule by rule: which test holds which rule, and a project of the Python program 0.3.14 taken over.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]
#![expect(clippy::indexing_slicing, reason = "a part that is missing is what the test is about")]

#[path = "../support/events.rs"]
mod events;
#[path = "../support/git.rs"]
mod git;

/// A project as the Python program left it, on this machine and at this time.
mod inherited;
/// What `docs/conformance.md` says is true.
mod table;
/// Our program goes on where the Python program stopped.
mod takeover;
/// Our detectors find in its logs what is there.
mod watched;
