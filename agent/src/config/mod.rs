//! `agent-runner.toml`: from text to validated types, phases included.

pub mod types;
pub mod window;
