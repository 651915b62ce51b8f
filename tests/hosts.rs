//! Tests that need hosts with a real systemd. Where they cannot be booted, every one says that it is skipped.
#![expect(clippy::unwrap_used, reason = "what a test sets up must work, or the test fails")]

/// The hosts keep their promises.
#[path = "hosts/lab.rs"]
mod lab;

/// A login expires.
#[path = "hosts/auto_stop.rs"]
mod auto_stop;
/// Cables are cut.
#[path = "hosts/cable.rs"]
mod cable;
/// Processes, hosts and their power go away.
#[path = "hosts/crash.rs"]
mod crash;
/// From nothing to work, and what a second deploy does.
#[path = "hosts/deploy.rs"]
mod deploy;
/// Hosts with the project on them.
#[path = "hosts/deployed.rs"]
mod deployed;
/// Hosts that differ from the usual one.
#[path = "hosts/matrix.rs"]
mod matrix;
/// What the matrix is made of.
#[path = "hosts/matrix_fleet.rs"]
mod matrix_fleet;
