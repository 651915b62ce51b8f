//! The only caller of git: the work tree's state, the stash, commits and the snapshot taken before a round.
//!
//! Every call runs in its own session with a time limit, with its output bounded and decoded with replacement.

mod call;
mod error;
mod head;

pub mod blobs;
pub mod commit;
pub mod deploy;
pub mod diff_stat;
pub mod exclude;
pub mod placed;
pub mod snapshot;
pub mod stash;
pub mod status;

pub use call::{Git, Limits, Place};
pub use error::GitError;
