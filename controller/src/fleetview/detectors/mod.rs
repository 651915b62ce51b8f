//! The controller's own detectors, one a file, listed once. Pure: what holds of the fleet at one instant.

mod account;
mod blind;
mod brake;
mod clock;
mod config;
mod hosts;
mod inhibit;
mod nuisance;
mod observe;
mod sink;
mod stalled;
mod stop_failed;
mod table;
mod version;

#[cfg(test)]
mod tests;

pub use account::HOST_AUTH;
pub use brake::held_back;
pub use inhibit::{INHIBITIONS, Inhibition};
pub use observe::observe;
pub use stop_failed::stop_failure;
pub use table::{DETECTORS, Detector};

/// Those that only a watch can judge that stops hosts and sends messages, and not one that looks on.
pub const OF_THE_GUARD: [&str; 3] = [brake::NAME, stop_failed::NAME, sink::NAME];
