//! The service a project runs as: systemd units, or `serve` in a session of its own.

mod account;
mod project;

pub mod env_file;
pub mod systemctl;
pub mod unit;

pub mod mode;
mod status;

pub mod detached;
pub mod install;
mod kill;
pub mod linger;
mod start;
mod stop;
pub mod uninstall;

pub use account::{Account, Acting};
pub use kill::{cancel, kill};
pub use mode::{Facts, Mode, UnitState, mode};
pub use project::{NameError, Project};
pub use start::{Restart, restart, start};
pub use status::{Look, Status, Unanswered, look, running, status};
pub(crate) use stop::send;
pub use stop::{Asked, STOP_WAIT, ServiceError, Stopping, stop};
