//! One view of the fleet: every host's stream folded into one state, with alerts, their life and the stops they ask for.
//!
//! ```text
//! streams (a task each) ──Input──> fold (pure) ──Told──> history, sinks, lines, web, terminal
//!                                   │ Fleet ──snapshot──> every view
//! ```
//!
//! - [`state::Fleet`] is all that is known: hosts with their accounts, streams with link, state, rounds, trend and
//!   auto-stop; [`life::Alerts`] with their life, silences, sinks. Cloning it costs a pointer per stream.
//! - [`fold::fold`] is the only thing that changes it, pure: (fleet, input, policy, now) gives what became known.
//! - [`detectors`] are the controller's own; with what hosts name they are the level that [`life`] turns into edges.
//!
//! All of it is pure; [`crate::watcher`] feeds it and acts on what it says.

pub mod alert;
pub mod beginning;
pub mod coverage;
pub mod rounds;
pub mod silence;
pub mod state;
pub mod told;

pub(crate) mod bounded;
pub mod brake;
pub mod detectors;
pub mod fold;
pub mod life;
pub mod meter;
pub mod resume;

#[cfg(test)]
mod beginning_tests;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod fold_tests;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod replay_tests;
#[cfg(test)]
mod stops_tests;
