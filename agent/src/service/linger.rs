//! Lingering: without it a user's systemd, and every service in it, ends at logout.

use std::path::Path;

use super::Account;

/// Whether an account's services outlive its logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linger {
    /// They do.
    On,
    /// They end at logout.
    Off,
}

/// Returns whether an account lingers, as logind records it.
pub fn linger(account: &Account) -> Linger {
    if Path::new("/var/lib/systemd/linger").join(&account.user).exists() { Linger::On } else { Linger::Off }
}

/// Returns the exact command that switches lingering on.
pub fn remedy(account: &Account) -> String {
    format!("sudo loginctl enable-linger {}", account.user)
}
