//! How much of the inventory a watch sees: what it tells of accounts and of the fleet is judged by that only. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::alert::Subject;
use super::state::{Fleet, HostFacts, StreamId};

/// What is watched of what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Projects on hosts: the watched ones, and all.
    pub streams: (usize, usize),
    /// Hosts with projects: the watched ones, and all.
    pub hosts: (usize, usize),
    /// The accounts of which one part is watched and the other is not.
    pub accounts: BTreeSet<Arc<str>>,
}

impl Coverage {
    /// Looks at what a fleet watches.
    pub fn of(fleet: &Fleet) -> Coverage {
        let every = fleet.hosts.iter().flat_map(|(host, facts)| {
            let stream = move |project: &Arc<str>| StreamId { host: host.clone(), project: project.clone() };
            facts.projects.iter().flatten().map(stream)
        });
        let all: BTreeSet<StreamId> = every.chain(fleet.streams.keys().cloned()).collect();
        let hosts = |streams: &mut dyn Iterator<Item = &StreamId>| -> usize {
            streams.map(|stream| &stream.host).collect::<BTreeSet<_>>().len()
        };
        let accounts = |watched: bool| -> BTreeSet<Arc<str>> {
            let those = all.iter().filter(|stream| fleet.streams.contains_key(stream) == watched);
            those.filter_map(|stream| fleet.account(&stream.host).cloned()).collect()
        };
        Coverage {
            streams: (fleet.streams.len(), all.len()),
            hosts: (hosts(&mut fleet.streams.keys()), hosts(&mut all.iter())),
            accounts: accounts(true).intersection(&accounts(false)).cloned().collect(),
        }
    }

    /// Returns whether everything is watched.
    pub fn is_whole(&self) -> bool {
        self.streams.0 == self.streams.1
    }
}

/// Returns whether the inventory does not name a subject any more, or names nothing of it that could be watched: then
/// no watch will ever see it again, and its alerts are over.
pub fn is_gone(hosts: &BTreeMap<Arc<str>, HostFacts>, subject: &Subject) -> bool {
    let watchable = |facts: &HostFacts| facts.projects.as_ref().is_none_or(|projects| !projects.is_empty());
    match subject {
        Subject::Stream(StreamId { host, project }) => !hosts
            .get(host)
            .is_some_and(|facts| facts.projects.as_ref().is_none_or(|projects| projects.contains(project))),
        Subject::Host(host) => !hosts.get(host).is_some_and(watchable),
        Subject::Account(account) => {
            !hosts.values().any(|facts| facts.account.as_ref() == Some(account) && watchable(facts))
        }
        Subject::Fleet => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agent_runner_inventory::Monitor;
    use jiff::Timestamp;

    use super::*;
    use crate::fleetview::beginning::Beginning;
    use crate::fleetview::state::{HostFacts, Moment};

    /// Two hosts of team a, the first with two projects, one of team b, one without an account, one without projects.
    fn fleet(watched: &[(&str, &str)]) -> Fleet {
        let host = |(name, account, projects): (&str, Option<&str>, &[&str])| {
            let projects = Some(projects.iter().map(|project| Arc::from(*project)).collect());
            (Arc::from(name), HostFacts { account: account.map(Arc::from), projects })
        };
        let hosts: [(&str, Option<&str>, &[&str]); 5] = [
            ("a1", Some("a"), &["p", "q"]),
            ("a2", Some("a"), &["p"]),
            ("b1", Some("b"), &["p"]),
            ("c1", None, &["p"]),
            ("bare", Some("b"), &[]),
        ];
        let id =
            |(host, project): &(&str, &str)| StreamId { host: (*host).into(), project: (*project).into() };
        let beginning = Beginning {
            hosts: hosts.into_iter().map(host).collect(),
            streams: watched.iter().map(|one| (id(one), None)).collect(),
            ..Beginning::default()
        };
        Fleet::new(
            beginning,
            &Monitor::default(),
            Moment { wall: Timestamp::UNIX_EPOCH, mono: Duration::ZERO },
        )
    }

    #[test]
    fn a_part_is_told_from_the_whole_and_the_accounts_that_it_divides_are_named() {
        let whole = [("a1", "p"), ("a1", "q"), ("a2", "p"), ("b1", "p"), ("c1", "p")];
        for (watched, hosts, accounts) in [
            (&whole[..2], 1, &["a"][..]),
            (&whole[1..], 4, &["a"]),
            (&whole[..3], 2, &[]),
            (&whole[3..], 2, &[]),
            (&whole[..], 4, &[]),
        ] {
            let coverage = Coverage::of(&fleet(watched));
            let expected = Coverage {
                streams: (watched.len(), 5),
                hosts: (hosts, 4),
                accounts: accounts.iter().map(|account| Arc::from(*account)).collect(),
            };
            assert_eq!(coverage, expected, "{watched:?}");
            assert_eq!(coverage.is_whole(), watched.len() == 5);
        }
    }

    #[test]
    fn what_no_watch_can_see_any_more_is_gone() {
        let mut fleet = fleet(&[]);
        let unknown = HostFacts { account: Some("d".into()), projects: None };
        Arc::make_mut(&mut fleet.hosts).insert("d1".into(), unknown);
        let bare = HostFacts { account: Some("e".into()), projects: Some(BTreeSet::new()) };
        Arc::make_mut(&mut fleet.hosts).insert("e1".into(), bare);
        let stream = |host: &str, project: &str| {
            Subject::Stream(StreamId { host: host.into(), project: project.into() })
        };
        for (subject, gone) in [
            (stream("a1", "p"), false),
            (stream("a2", "q"), true),
            (stream("z1", "p"), true),
            (stream("d1", "any"), false),
            (Subject::Host("a1".into()), false),
            (Subject::Host("d1".into()), false),
            (Subject::Host("bare".into()), true),
            (Subject::Host("z1".into()), true),
            (Subject::Account("b".into()), false),
            (Subject::Account("d".into()), false),
            (Subject::Account("renamed".into()), true),
            (Subject::Account("e".into()), true),
            (Subject::Fleet, false),
        ] {
            assert_eq!(is_gone(&fleet.hosts, &subject), gone, "{subject}");
        }
    }
}
