//! A real OpenSSH server on loopback, as whatever user runs the tests, with throw-away keys and HOME.

mod config;
pub mod key_agent;
pub mod keys;
mod options;
mod server;
mod session;

pub use options::{Sftp, SshdOptions};
pub use server::Sshd;
