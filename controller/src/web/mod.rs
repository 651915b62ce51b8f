//! `monitor --serve`: the fleet in a browser, as JSON and as metrics. Everything is read from the hub, and every wish
//! goes through it.
//!
//! ```text
//! hub ──snapshot, told──> board ──view, diffs──> page (HTML once, then server-sent events)
//!                           └──counters────────> /metrics
//! ```
//!
//! - [`rows`], [`host`], [`view`], [`page`], [`metrics`], [`guard`] and [`wish`] are pure.
//! - [`board`] keeps what a view of the fleet needs over time: the last view, the newest events, counters.
//! - [`server`] owns the sockets and every bound on them; [`routes`] and [`api`] say what is answered where.

pub mod counters;
pub mod guard;
pub mod host;
pub mod metrics;
pub mod page;
pub mod rows;
pub mod view;
pub mod wish;

pub mod actions;
pub mod board;
pub mod token;

mod answer;
mod api;
mod routes;
pub mod server;
mod stream;
