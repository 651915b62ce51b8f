//! Ranges in names: `pi[01-20].lan` stands for twenty hosts.

mod parse;
mod pattern;

pub use parse::RangeError;
pub use pattern::{MAX_NAMES, Pattern};

#[cfg(test)]
mod tests;
