//! How a host differs from the default one.

use std::path::PathBuf;

/// What a test asks of a host; [`Default`] is a plain Debian 12.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The login shell of the user; `/usr/bin/fish` and `/bin/tcsh` are there too. Default `/bin/bash`.
    pub login_shell: PathBuf,
    /// The umask of the user's sessions and services, as in `0o077`. Default: Debian's.
    pub umask: Option<u32>,
    /// Lines of `sshd_config` that come before Debian's own, where the first value wins.
    pub sshd_lines: Vec<String>,
    /// Whether the user may become root. Default: not.
    pub sudo: Sudo,
    /// Folders of this machine that the host sees, read-only, at the same path. Default: none.
    pub read_only: Vec<PathBuf>,
}

/// Whether the user of a host may become root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sudo {
    /// `sudo` refuses.
    Refused,
    /// `sudo -n` works, without a password.
    Passwordless,
    /// `sudo` asks for the user's password, which a test gives it with `chpasswd`.
    ByPassword,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            login_shell: "/bin/bash".into(),
            umask: None,
            sshd_lines: Vec::new(),
            sudo: Sudo::Refused,
            read_only: Vec::new(),
        }
    }
}
