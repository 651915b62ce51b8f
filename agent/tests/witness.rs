//! The Witness from outside: the program watching a real log dir.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

#[path = "../../tests/harness/skipped.rs"]
mod skipped;
#[path = "support/wait.rs"]
mod wait;

/// A project with a log dir, and the program run on it.
#[path = "witness/project.rs"]
mod project;

/// What a poll costs.
#[path = "witness/cost.rs"]
mod cost;
/// `events`: windows, replays and tails.
#[path = "witness/events.rs"]
mod events;
/// `monitor` in anomaly mode: alerts, auto-stop, survival.
#[path = "witness/monitor.rs"]
mod monitor;
/// `monitor --mode http`.
#[path = "witness/page.rs"]
mod page;
/// `peek` and `watch`.
#[path = "witness/peek.rs"]
mod peek;
/// Every detector, provoked.
#[path = "witness/provoked.rs"]
mod provoked;
/// `monitor --host`.
#[path = "witness/relay.rs"]
mod relay;
/// `monitor --mode stream`, `narrate` and `events`.
#[path = "witness/stream.rs"]
mod stream;
/// A monitor goes on: midnight, clocks, full disks, odd logs.
#[path = "witness/survival.rs"]
mod survival;
