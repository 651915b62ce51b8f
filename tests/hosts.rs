//! Tests that need hosts with a real systemd. Where they cannot be booted, every one says that it is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test sets up and reads must be there, or the test fails"
)]

/// The hosts keep their promises.
#[path = "hosts/lab.rs"]
mod lab;

/// A host of the other machine.
#[path = "hosts/aarch64.rs"]
mod aarch64;
/// A login expires.
#[path = "hosts/auto_stop.rs"]
mod auto_stop;
/// A person works on the host by hand.
#[path = "hosts/by_hand.rs"]
mod by_hand;
/// Cables are cut.
#[path = "hosts/cable.rs"]
mod cable;
/// Processes, hosts and their power go away.
#[path = "hosts/crash.rs"]
mod crash;
/// From nothing to work, and what a second deploy does.
#[path = "hosts/deploy.rs"]
mod deploy;
/// Going back, files alone, units alone, locks, who did what.
#[path = "hosts/deploy_verbs.rs"]
mod deploy_verbs;
/// Hosts with the project on them.
#[path = "hosts/deployed.rs"]
mod deployed;
/// What the faults are and what shall come of each.
#[path = "hosts/fault_table.rs"]
mod fault_table;
/// A fault at each step of a deploy.
#[path = "hosts/faults.rs"]
mod faults;
/// What the README and the runbook tell people to type first.
#[path = "hosts/first_steps.rs"]
mod first_steps;
/// One login breaks on several hosts.
#[path = "hosts/incident.rs"]
mod incident;
/// The controller is killed in the middle of a deploy.
#[path = "hosts/interrupted.rs"]
mod interrupted;
/// Hosts that differ from the usual one.
#[path = "hosts/matrix.rs"]
mod matrix;
/// What the matrix is made of.
#[path = "hosts/matrix_fleet.rs"]
mod matrix_fleet;
/// A release on hosts that are not like others.
#[path = "hosts/odd_deploys.rs"]
mod odd_deploys;
/// What a host's own monitor stops.
#[path = "hosts/own_stop.rs"]
mod own_stop;
/// The page of another host.
#[path = "hosts/page_relay.rs"]
mod page_relay;
/// What a plan shows, and what it costs to find nothing.
#[path = "hosts/planned.rs"]
mod planned;
/// A real agent CLI instead of the scripted one.
#[path = "hosts/real_agent.rs"]
mod real_agent;
/// The recipes of the documentation.
#[path = "hosts/recipes.rs"]
mod recipes;
/// A release goes over eight hosts, well and badly.
#[path = "hosts/rolling.rs"]
mod rolling;
/// The system's projects, a login's, and those without systemd.
#[path = "hosts/scopes.rs"]
mod scopes;
/// The verbs of the service, by the user.
#[path = "hosts/service_verbs.rs"]
mod service_verbs;
/// Units of the system.
#[path = "hosts/system_units.rs"]
mod system_units;
/// Hosts that are down, refuse or hang.
#[path = "hosts/unreachable.rs"]
mod unreachable;
