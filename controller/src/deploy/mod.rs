//! From nothing, or an older release, to a supervised and healthy project: host by host, batch by batch.

pub mod checkup;
pub mod probe;

pub mod accounts;
pub mod manifest;
pub mod overlay;
pub mod rollout;
pub mod summary;
pub mod wish;

mod halt;
mod place;

pub mod host;
pub mod run;
pub mod turn;
