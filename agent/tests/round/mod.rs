//! One module per promise of a round.

mod support;

/// Checks before anything is changed.
mod battery;
/// Agents in containers.
mod container;
/// Being killed at every step.
mod crash;
/// The critic.
mod critic;
/// A log dir that takes no writes.
mod full_disk;
/// Goal checks and the treadmill.
mod goal;
/// A round that goes well: events, files, prompt, environment, exit codes.
mod life;
/// Staying after the result.
mod linger;
/// Agents whose output is hard to handle.
mod output;
/// What agents print, read after the round.
mod provider;
/// Signals to the round, and two rounds at once.
mod signals;
/// Agents that do not want to end, or leave others behind.
mod stubborn;
/// The dirty tree: stash, commit, leave, and what was the operator's.
mod tree;
