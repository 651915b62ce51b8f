//! The fleet as files: `fleet.toml` with its hosts, groups, projects and rollout, selections over them, and the
//! settings OpenSSH's own client configuration gives a host.
//!
//! The crate reads files and nothing else: no network, no process, no clock, no environment. What the surroundings
//! know (home folder, user name, the output of `ssh -G`) is an argument. Everything that can be wrong with a file is
//! said with file, line, column, the line itself and a caret.
//!
//! ```
//! use agent_runner_inventory::{Inventory, Selection};
//!
//! let text = "[fleet]\nname = \"attic\"\n[groups.pis]\nhosts = [\"pi[01-03].lan\"]\nuser = \"pi\"\n";
//! let inventory = Inventory::parse(text, "fleet.toml".as_ref())?;
//! let chosen = inventory.select(&Selection::limit(["pis & !pi02.lan"]))?;
//! assert_eq!(agent_runner_inventory::fold_names(&chosen), "pi[01,03].lan (2)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod file;
mod fold;
mod group;
mod host;
mod hosts;
mod inventory;
mod jump;
mod local_path;
mod monitor;
mod name;
mod nearest;
mod project;
mod ranges;
mod resolve;
mod rollout;
mod scaffold;
mod secret;
mod select;
mod shard;
mod share;
mod sinks;
mod source;
pub mod ssh_config;

#[cfg(test)]
#[path = "../../tests/harness/skipped.rs"]
mod skipped;

pub use error::{Error, Problem, Problems};
pub use fold::{fold_names, fold_pattern};
pub use group::Group;
pub use host::{HOST_KEYS, HostSettings, ResolvedHost, Shown};
pub use inventory::{Defaults, Fleet, Inventory};
pub use jump::{Hop, JumpError, ProxyJump};
pub use local_path::{LocalPath, NoHome};
pub use monitor::Monitor;
pub use name::{HostName, NameError, check_address, check_group, check_host, check_project, check_user};
pub use project::{Project, Repo, Scope, Service};
pub use ranges::{MAX_NAMES, Pattern, RangeError};
pub use rollout::{Batch, Drain, Healthy, Rollout};
pub use scaffold::scaffold;
pub use secret::secret;
pub use select::{FileLine, FileReader, Remembered, SelectError, SelectErrorKind, Selection};
pub use shard::{Shard, ShardError};
pub use share::{Share, ShareError};
pub use sinks::Sink;
pub use source::{Located, Origin, Source, Sourced};
