//! Placeholder.

pub mod ssh;
