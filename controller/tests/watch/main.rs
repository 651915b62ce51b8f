//! Watching fleets of in-process SSH hosts whose agents are recorded: streams, sinks, a controller that is killed.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test support fails by panicking and writes its own files"
)]

#[path = "../../../tests/harness/skipped.rs"]
mod skipped;

/// Two controllers, two Alertmanagers, one notification.
mod alertmanager;
/// Hosts that send garbage, endless lines or floods.
mod bad_hosts;
/// Hosts that let us in and give no stream.
mod no_stream;
/// Hosts with a recorded agent, and a receiver of webhooks.
mod support;
/// A fleet of 200 hosts, some of which hang or flap.
mod two_hundred;
/// Webhooks and files: down, back, signed; a controller that dies in between.
mod webhook;
