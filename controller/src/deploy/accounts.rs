//! One credentials file on several hosts of one account: a login that rotates its refresh token on one host ends the
//! others'. Pure.

use std::collections::BTreeMap;

use agent_runner_inventory::fold_names;

/// One environment file that goes to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lands<'a> {
    /// The file, as the inventory names it.
    pub file: &'a str,
    /// The host's account with the provider.
    pub account: &'a str,
    /// The host.
    pub host: &'a str,
}

/// Returns a warning for each file that goes to more than one host of one account.
pub fn warnings<'a>(lands: impl IntoIterator<Item = Lands<'a>>) -> Vec<String> {
    let mut hosts: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for Lands { file, account, host } in lands {
        let on = hosts.entry((file, account)).or_default();
        if !on.contains(&host) {
            on.push(host);
        }
    }
    let shared = hosts.into_iter().filter(|(_, hosts)| hosts.len() > 1);
    shared
        .map(|((file, account), hosts)| {
            format!(
                "{file} goes to several hosts of account {account}: {}; if it holds a login that renews itself, the \
                 first host to renew it logs the others out: give each host a login of its own",
                fold_names(&hosts)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_on_several_hosts_of_one_account_is_warned_of() {
        let lands = |file, account, host| Lands { file, account, host };
        let told = warnings([
            lands("a.env", "team", "pi1"),
            lands("a.env", "team", "pi2"),
            lands("a.env", "team", "pi2"),
            lands("a.env", "other", "pi3"),
            lands("b.env", "team", "pi1"),
        ]);
        let [warning] = told.as_slice() else { panic!("{told:?}") };
        assert!(
            warning.starts_with("a.env goes to several hosts of account team: pi[1-2] (2);"),
            "{warning}"
        );
    }
}
