//! What happened on the fleet: one SQLite file per fleet in the user's state folder, and the thread that writes it.
//!
//! It holds the log of everything told, the state that outlives a run (open alerts, acknowledgements, silences,
//! cursors, auto-stops) and the messages that wait for their sinks. What belongs together is written in one
//! transaction: an event with the cursor behind it, an alert with the message about it. Killed at any instant, a
//! controller goes on where the last transaction left it.

mod acks;
mod alerts;
mod asked;
mod error;
mod log;
mod outbox;
mod schema;
mod silences;
mod stops;
mod store;

pub mod journal;
pub mod query;

#[cfg(test)]
mod tests;

pub use asked::Asked;
pub use error::HistoryError;
pub use outbox::{Message, OUTBOX_MOST};
pub use store::{Entry, Store, path};
