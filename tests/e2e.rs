//! End-to-end tests of both programs on this machine, and of the harness they stand on.

/// The loopback servers of the harness.
#[path = "e2e/sshd.rs"]
mod sshd;
