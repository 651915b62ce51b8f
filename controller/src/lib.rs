//! The fleet controller: reads an inventory, deploys `agent-runner` over SSH, and folds every host's stream into one
//! view with auto-stop per host.
//!
//! What depends on what, and where things are: docs/architecture.md.

pub mod error;
pub mod output;

pub mod cancel;
pub mod fanout;
pub mod open_files;
pub mod slot;
pub mod span;
pub mod ssh;

mod failpoint;

pub mod connection;
pub mod import;
pub mod last_run;
pub mod runs;
pub mod targets;

pub mod bundle;
pub mod deploy;
pub mod fleetview;
pub mod history;
pub mod remote;
pub mod sinks;
pub mod tui;
pub mod watcher;
pub mod web;

pub mod demo;

pub mod cli;
pub mod commands;
pub mod verb;

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
