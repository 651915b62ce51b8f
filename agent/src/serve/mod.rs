//! The Loop: one round after the other, until something ends it. `step` decides, the driver performs.

pub mod state;

pub mod action;
pub mod input;
pub mod policy;

pub mod step;

pub mod backoff;
pub mod history;

pub mod breakers;

pub mod phases;
pub mod schedule;

pub mod accounting;
pub mod brake;
pub mod floor;
pub mod limits;

pub mod sessions;

pub mod boot;
pub mod driver;
pub mod handover;
pub mod notify;
pub mod round_child;

mod facts;
mod fingerprint;
mod glob;
mod perform;
mod replay;
mod watch;
