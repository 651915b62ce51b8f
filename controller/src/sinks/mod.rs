//! Where alerts go besides the terminal: Alertmanager, webhooks, files.
//!
//! Messages wait in the history's outbox; a worker per sink takes them in order, at least once. A sink that is down
//! holds up nothing but itself.

mod alertmanager;
mod http;
mod jsonl;
mod place;
mod webhook;
mod worker;

pub use http::{Http, SendError};
pub use place::{Place, PlaceError};
pub use webhook::{SIGNATURE, signature};
pub use worker::work;
