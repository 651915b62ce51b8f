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
mod table;
mod version;

#[cfg(test)]
mod tests;

pub use account::HOST_AUTH;
pub use inhibit::{INHIBITIONS, Inhibition};
pub use observe::observe;
pub use table::{DETECTORS, Detector};
