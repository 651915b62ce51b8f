//! From nothing, or an older release, to a supervised and healthy project: host by host, batch by batch.

pub mod probe;

pub mod manifest;
pub mod overlay;
pub mod rollout;

pub mod host;
pub mod run;
