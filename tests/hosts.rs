//! Tests that need hosts with a real systemd. Where they cannot be booted, every one says that it is skipped.
#![expect(clippy::unwrap_used, reason = "what a test sets up must work, or the test fails")]

/// The hosts keep their promises.
#[path = "hosts/lab.rs"]
mod lab;
