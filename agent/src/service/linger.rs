//! Lingering: without it a user's systemd, and every service in it, ends at logout.

use std::path::Path;

use super::{Account, Acting};

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

/// Returns what helps where the account's systemd does not answer.
pub fn way_to_reach(account: &Account) -> String {
    if account.acting == Acting::RootFor {
        return format!(
            "run it as {}, without sudo: the unit is one of that account's systemd",
            account.user
        );
    }
    let start = format!("run `{}`, which starts the account's systemd also without a login", remedy(account));
    let usual = Path::new("/run/user").join(account.uid.to_string());
    match account.runtime_dir.as_deref().filter(|dir| *dir != usual) {
        Some(dir) => format!(
            "{start}; where it runs already, XDG_RUNTIME_DIR must be {}, not {}",
            usual.display(),
            dir.display()
        ),
        None => start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_reach_the_manager_is_told_what_stands_in_the_way() {
        let check = |acting, runtime_dir: Option<&str>, expected: &str| {
            let account = Account {
                user: "ops".into(),
                group: "ops".into(),
                uid: 1000,
                gid: 1000,
                home: "/home/ops".into(),
                runtime_dir: runtime_dir.map(Into::into),
                acting,
            };
            assert_eq!(way_to_reach(&account), expected);
        };
        let linger =
            "run `sudo loginctl enable-linger ops`, which starts the account's systemd also without a login";
        check(Acting::Itself, None, linger);
        check(Acting::Itself, Some("/run/user/1000"), linger);
        let elsewhere = format!(
            "{linger}; where it runs already, XDG_RUNTIME_DIR must be /run/user/1000, not /run/user/0"
        );
        check(Acting::Itself, Some("/run/user/0"), &elsewhere);
        check(
            Acting::RootFor,
            None,
            "run it as ops, without sudo: the unit is one of that account's systemd",
        );
    }
}
