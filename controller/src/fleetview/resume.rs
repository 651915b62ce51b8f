//! The order in which stopped services come back. Pure.
//!
//! Hosts that share a login come back one after another: if it still fails, one host finds out, not all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::state::StreamId;

/// The pause between two services of one chain.
pub const STAGGER: Duration = Duration::from_secs(10);

/// Chains are worked on side by side, the streams of a chain one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// A chain per account; hosts without one make a chain of their own.
    pub chains: Vec<Vec<StreamId>>,
}

/// Returns the order in which streams come back.
pub fn plan(streams: impl Iterator<Item = StreamId>, account: impl Fn(&str) -> Option<Arc<str>>) -> Plan {
    let mut chains: BTreeMap<Option<Arc<str>>, Vec<StreamId>> = BTreeMap::new();
    for stream in streams {
        chains.entry(account(&stream.host)).or_default().push(stream);
    }
    let mut chains: Vec<_> = chains.into_values().collect();
    chains.iter_mut().for_each(|chain| chain.sort());
    Plan { chains }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_one_account_come_back_one_after_another_and_accounts_side_by_side() {
        let id = |host: &str| StreamId { host: host.into(), project: "p".into() };
        let account = |host: &str| match host.split_at(1).0 {
            "a" => Some("team-a".into()),
            "b" => Some("team-b".into()),
            _ => None,
        };
        let plan = plan(["b1", "a2", "x", "a1", "y"].map(id).into_iter(), account);
        assert_eq!(plan.chains, [vec![id("x"), id("y")], vec![id("a1"), id("a2")], vec![id("b1")]]);
    }
}
