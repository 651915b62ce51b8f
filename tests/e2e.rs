//! End-to-end tests of both programs on this machine, and of the harness they stand on.
#![expect(clippy::unwrap_used, reason = "what a test sets up must work, or the test fails")]

/// One host on loopback, and the controller.
#[path = "e2e/bench.rs"]
mod bench;

/// A project that is only looked at.
#[path = "e2e/watched.rs"]
mod watched;

/// What an operator gets wrong.
#[path = "e2e/bad_input.rs"]
mod bad_input;
/// The demo, to its end and interrupted.
#[path = "e2e/demo.rs"]
mod demo;
/// Every error a person can meet, as printed.
#[path = "e2e/errors.rs"]
mod errors;
/// The scripted agent of the harness.
#[path = "e2e/fake_agent.rs"]
mod fake_agent;
/// The page of `monitor --mode http` in a browser.
#[path = "e2e/page.rs"]
mod page;
/// `monitor --host` over real ssh.
#[path = "e2e/relay.rs"]
mod relay;
/// The loopback servers of the harness.
#[path = "e2e/sshd.rs"]
mod sshd;
/// `watch` in a terminal.
#[path = "e2e/watch.rs"]
mod watch;
