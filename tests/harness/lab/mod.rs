//! Hosts with a real systemd and a real OpenSSH server: `systemd-nspawn` containers, each with its own
//! network namespace on one bridge, over one cached Debian root. Nothing of them is reachable from elsewhere,
//! and nothing of them reaches anything but this machine.

mod boot;
mod debian;
mod emulated;
mod fault;
mod host;
mod layout;
mod mirror;
mod needs;
mod network;
mod options;
mod overlay;
mod teardown;
mod up;

pub use emulated::Emulator;
pub use host::Host;
pub use options::{HostOptions, Sudo};
pub use teardown::{Run, runs};
pub use up::Lab;
