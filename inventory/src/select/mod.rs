//! Selections: which hosts are meant.
//!
//! Operators bind from left to right, all alike: `a, b & c` is everything in `a` or `b` that is also in `c`. `!x`
//! takes `x` away from what stands left of it, with or without a `,` or `&` before it; at the beginning it takes `x`
//! away from all hosts.

mod error;
mod eval;
mod grammar;
mod selection;
mod set;

pub use error::{FileLine, SelectError, SelectErrorKind};
pub use selection::{FileReader, Remembered, Selection};

#[cfg(test)]
mod tests;
