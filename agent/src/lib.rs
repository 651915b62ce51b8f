//! The supervisor of one autonomous coding CLI: the Round (one agent run under defenses), the Loop (`serve`) and
//! the Witness (`monitor`). Synchronous, no runtime, no network.
//!
//! What depends on what, and where things are: docs/architecture.md.

pub mod event;

pub mod config;
pub mod git;
pub mod host;
pub mod kinds;
pub mod masking;
pub mod pattern;
pub mod process;
pub mod provider;
pub mod sha256;
pub mod store;

pub mod round;
pub mod serve;

pub mod apply;
pub mod service;
pub mod witness;

pub mod peek;

pub mod http;

pub mod cli;
pub mod commands;
pub mod error;
pub mod manual;
pub mod output;
pub mod plain;
pub mod shell;
pub mod unified;
pub mod verb;
pub mod version;

#[cfg(test)]
mod reference;
#[cfg(test)]
#[path = "../../tests/harness/skipped.rs"]
mod skipped;

use std::process::ExitCode;

/// Runs the program with this process's arguments and environment.
pub fn main() -> ExitCode {
    cli::main()
}
