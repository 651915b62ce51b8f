//! The Loop: one round after the other, until something ends it. `step` decides, the driver performs.

pub mod throttle;

pub mod backoff;
pub mod history;

pub mod breakers;

pub mod schedule;

pub mod phases;

pub mod accounting;
pub mod brake;
pub mod floor;
pub mod limits;

pub mod sessions;

pub mod policy;

pub mod action;
pub mod input;
pub mod state;
pub mod step;
