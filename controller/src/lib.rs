//! Placeholder.

pub mod cancel;
pub mod fanout;
pub mod open_files;
pub mod ssh;
