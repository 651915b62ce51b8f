//! The full-screen dashboard of `agent-runner-fleet watch`.
//!
//! ```text
//! key, snapshot, now ──> view (pure) ──> keys (pure) ──> Model + wishes ──> hub
//!                           └──────────> draw (pure) ──> a buffer of cells
//! ```
//!
//! - [`view::View`] is what the fleet looks like through a [`model::Model`] at one instant: rows sorted, filtered and
//!   grouped, alerts in their order. [`keys::press`] takes a key and changes the model; what is to be done comes back
//!   as [`keys::Effect`]s. [`draw`] puts both on a screen of any size.
//! - [`status`] decides the one word for a stream. Silence is never shown as up.
//! - [`text`] makes what hosts say safe to show; [`feed`] keeps what they said last.
//! - [`terminal`] owns the terminal and gives it back however the program ends; [`run`] is the loop.

pub mod feed;
pub mod model;
pub mod question;
pub mod rows;
pub mod status;
pub mod text;
pub mod view;

pub mod draw;
pub mod keys;
pub mod look;

pub mod run;
pub mod terminal;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod keys_tests;
#[cfg(test)]
mod snapshots;
