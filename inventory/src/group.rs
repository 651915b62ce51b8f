//! Groups: named lists of hosts that share settings.

use std::collections::HashMap;

use crate::file::{Item, Report, Table};
use crate::host::{HOST_KEYS, HostSettings};
use crate::hosts::Hosts;
use crate::name;
use crate::nearest::did_you_mean;
use crate::ranges::Pattern;

/// `[groups.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The name.
    pub name: String,
    /// The line of its table, from 1.
    pub line: usize,
    /// What it says about its hosts.
    pub settings: HostSettings,
    /// Its hosts, those of nested groups included: ascending indices into the inventory's hosts.
    pub(crate) members: Vec<u32>,
    /// The groups it names in `hosts`, as written.
    pub children: Vec<String>,
}

/// A group while the file is being read.
pub(crate) struct Draft<'t> {
    item: Item<'t>,
    settings: HostSettings,
    hosts: Vec<Item<'t>>,
}

/// Reads the table of a group; its hosts stay for [`Draft::add_hosts`].
pub(crate) fn read<'t>(item: &Item<'t>, report: &mut Report<'_>) -> Option<Draft<'t>> {
    if let Err(error) = name::check_group(item.name) {
        report.problem(item.key.clone(), error.to_string());
    }
    let keys: Vec<&str> = std::iter::once("hosts").chain(HOST_KEYS.iter().copied()).collect();
    let table = Table::open(item, &keys, report)?;
    let settings = HostSettings::read(&table, report);
    let hosts = table.required("hosts", report).and_then(|item| item.array(report)).unwrap_or_default();
    Some(Draft { item: item.clone(), settings, hosts })
}

impl Draft<'_> {
    /// Where the group stands in the file.
    pub(crate) fn offset(&self) -> usize {
        self.item.key.start
    }

    /// Adds the hosts that the group itself names, and checks the groups it names.
    pub(crate) fn add_hosts(self, known: &[&str], hosts: &mut Hosts, report: &mut Report<'_>) -> Group {
        let (mut members, mut children) = (Vec::new(), Vec::new());
        for entry in &self.hosts {
            let Some(text) = entry.text(report) else { continue };
            match text.trim().strip_prefix('@') {
                Some(child) if known.contains(&child) => children.push(child.to_owned()),
                Some(child) => {
                    let hint = did_you_mean(child, known.iter().copied());
                    report.hinted(entry.span(), format!("no group is called {child:?}"), hint);
                }
                None => add_pattern(entry, hosts, &mut members, report),
            }
        }
        members.sort_unstable();
        members.dedup();
        let line = report.line(self.item.key.start);
        Group { name: self.item.name.into(), line, settings: self.settings, members, children }
    }
}

fn add_pattern(entry: &Item<'_>, hosts: &mut Hosts, members: &mut Vec<u32>, report: &mut Report<'_>) {
    let text = entry.value.get_ref().as_str().unwrap_or("").trim();
    let pattern = match Pattern::parse(text) {
        Ok(pattern) => pattern,
        Err(error) => {
            // Inside a plain string the bytes of the value are the bytes of the file, after the quote.
            let (start, end) = (entry.span().start + 1, entry.span().end);
            let plain = end - start == text.len() + 1;
            let span = if plain { start + error.at.start..start + error.at.end } else { entry.span() };
            return report.problem(span, error.message);
        }
    };
    for name in pattern.expand() {
        match hosts.add(&name) {
            Ok(id) => members.push(id),
            Err(error) => {
                let hint = text
                    .contains(['*', '?'])
                    .then(|| "a group names its hosts; wildcards belong into selections".to_owned());
                return report.hinted(entry.span(), error.to_string(), hint);
            }
        }
    }
}

/// Adds the hosts of nested groups, however deep, and refuses groups that contain themselves.
pub(crate) fn flatten(groups: &mut [Group], spans: &[usize], report: &mut Report<'_>) {
    let index: HashMap<String, usize> =
        groups.iter().enumerate().map(|(at, group)| (group.name.clone(), at)).collect();
    let children: Vec<Vec<usize>> = groups
        .iter()
        .map(|group| group.children.iter().filter_map(|child| index.get(child).copied()).collect())
        .collect();
    let Some(order) = children_first(&children) else {
        for (at, group) in groups.iter().enumerate() {
            if reaches(at, &children) {
                let start = spans.get(at).copied().unwrap_or(0);
                report.problem(
                    start..start + group.name.len(),
                    format!("group {:?} contains itself", group.name),
                );
            }
        }
        return;
    };
    for at in order {
        let mut added = Vec::new();
        for child in children.get(at).into_iter().flatten() {
            added.extend(groups.get(*child).into_iter().flat_map(|group| group.members.iter().copied()));
        }
        if let Some(group) = groups.get_mut(at) {
            group.members.extend(added);
            group.members.sort_unstable();
            group.members.dedup();
        }
    }
}

/// An order in which every group comes after the groups it contains; `None` if there is a circle.
fn children_first(children: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut waiting: Vec<usize> = children.iter().map(Vec::len).collect();
    let mut parents: Vec<Vec<usize>> = vec![Vec::new(); children.len()];
    for (at, own) in children.iter().enumerate() {
        for child in own {
            parents.get_mut(*child)?.push(at);
        }
    }
    let mut order: Vec<usize> = (0..children.len()).filter(|at| waiting.get(*at) == Some(&0)).collect();
    let mut next = 0;
    while let Some(at) = order.get(next).copied() {
        next += 1;
        for parent in parents.get(at).into_iter().flatten() {
            let left = waiting.get_mut(*parent)?;
            *left -= 1;
            if *left == 0 {
                order.push(*parent);
            }
        }
    }
    (order.len() == children.len()).then_some(order)
}

/// Whether a group is its own descendant.
fn reaches(start: usize, children: &[Vec<usize>]) -> bool {
    let mut seen = vec![false; children.len()];
    let mut open: Vec<usize> = children.get(start).cloned().unwrap_or_default();
    while let Some(at) = open.pop() {
        if at == start {
            return true;
        }
        if let Some(mark) = seen.get_mut(at).filter(|mark| !**mark) {
            *mark = true;
            open.extend(children.get(at).into_iter().flatten());
        }
    }
    false
}
