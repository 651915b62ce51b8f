//! Watching for real: a task per stream feeds the fold, what becomes known is written down, stops are made.
//!
//! - [`watch::Watcher`] owns streams, fold and writing; [`hub::Hub`] is the handle for views: snapshots, changes, things
//!   told, actions ([`act::Action`]) and log tails.

pub mod act;
pub mod auto_stop;
pub mod back;
pub mod entries;
pub mod hub;
pub mod streams;
pub mod watch;

mod errands;
