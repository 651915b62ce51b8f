//! `agent-runner.toml`: from text to validated types, phases included.

pub mod types;

mod host_health;
pub mod keys;
pub mod schema;

mod error;
mod load;
pub mod source;

mod agent;
mod build;
mod paths;
mod phases;
mod read;
mod section;
mod value;

pub mod migrate;
pub mod overlap;
pub mod scaffold;
pub mod wall;
pub mod window;

pub use error::{ConfigError, Invalid};
pub use load::Loaded;

#[cfg(test)]
mod tests;
