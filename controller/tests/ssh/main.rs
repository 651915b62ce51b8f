//! The SSH room against real OpenSSH servers on loopback.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test support fails by panicking and writes its own files"
)]

#[path = "../../../tests/harness/skipped.rs"]
mod skipped;
mod support;

/// What runs on a host.
mod commands;
/// Whose key we show.
mod credentials;
/// Whose key the host shows, and whose is recorded.
mod host_keys;
/// Hosts that are down, silent or overloaded, and the way to them.
mod reach;
/// The server of our own, for machines without sshd.
mod throwaway;
/// Files on their way to a host.
mod uploads;
