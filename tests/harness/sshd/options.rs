//! How a server differs from the default one.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::keys::KeyKind;

/// What a test asks of its server; [`Default`] suits most.
#[derive(Debug, Clone)]
pub struct SshdOptions {
    /// The loopback address to listen on: any of 127.0.0.0/8 works, so that each server can be a host of its
    /// own. Default 127.0.0.1.
    pub address: IpAddr,
    /// The host keys. Default: ed25519 alone.
    pub host_keys: Vec<KeyKind>,
    /// Lines put first into `sshd_config`, where the first value wins: `MaxSessions 1`,
    /// `MaxStartups 2:50:4`, `AuthorizedKeysFile none`.
    pub config_lines: Vec<String>,
    /// Further public keys that may log in.
    pub authorized_keys: Vec<String>,
    /// What runs the commands of a session, as the login shell does on a host. Default `/bin/sh`.
    pub shell: PathBuf,
    /// Shell lines every session runs first: `umask 077`, `export PATH=...`.
    pub session_lines: Vec<String>,
    /// Whether the server offers file transfer.
    pub sftp: Sftp,
}

/// Whether a server offers the `sftp` subsystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sftp {
    /// As Debian configures it.
    Offered,
    /// A host without `sftp-server`.
    Missing,
}

impl Default for SshdOptions {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host_keys: vec![KeyKind::Ed25519],
            config_lines: Vec::new(),
            authorized_keys: Vec::new(),
            shell: PathBuf::from("/bin/sh"),
            session_lines: Vec::new(),
            sftp: Sftp::Missing,
        }
    }
}
