//! What agent CLIs print, read by rules that are data: usage, throttles, refused logins, repetition. Reading never
//! influences the round.

pub mod condition;
pub mod rules;
pub mod usage_rule;

pub mod preset;
pub mod presets;

mod number;
mod record;

mod classify;
mod tools;
mod usage;

pub mod scan;
pub mod throttle;
pub mod unread;

pub use presets::Presets;
pub use rules::Rules;
pub use scan::{RoundFacts, scan};

#[cfg(test)]
mod tests;
