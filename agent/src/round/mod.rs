//! One round: checks, context, prompt, one run of the agent under defenses, its outcome, the work tree, the state.

pub mod error;
pub mod options;
pub mod outcome;

pub mod failpoint;

mod run;
mod scene;

pub mod hold;
pub mod preflight;
mod recover;

mod begin;
pub mod context;
pub mod digest;
pub mod ledger;
pub mod prompt;
pub mod treadmill;

mod agent_log;
mod agent_run;
pub mod argv;
pub mod container;
pub mod grace;
mod linger;
pub mod marker;
mod watch;

mod critic;
mod dirty;
mod finish;
pub mod goal_checks;
mod hooks;
pub mod network;
pub mod program;
pub mod rearranged;
pub mod sample;

pub use error::RoundError;
pub use options::RoundOptions;
pub use outcome::RoundExit;
pub use run::run;
