//! The dashboard as cells. Pure: nothing here knows the terminal, the clock or the hub.

mod alerts;
mod detail;
mod help;
mod log;
mod page;
mod question;
mod rounds;
mod screen;
mod strip;
mod table;

pub use screen::{Scene, draw};
