//! A whole inventory: reading `fleet.toml` and finding hosts, groups and projects in it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use crate::error::Error;
use crate::file::{self, Item, Report, Table};
use crate::group::{self, Group};
use crate::host::{HOST_KEYS, HostSettings};
use crate::hosts::Hosts;
use crate::monitor::Monitor;
use crate::name::{self, HostName};
use crate::nearest::did_you_mean;
use crate::project::{self, Project};
use crate::rollout::Rollout;
use crate::sinks::{self, Sink};
use crate::source::Located;

/// Largest inventory that is read, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Most hosts that may be worked on at once.
const MAX_FORKS: u64 = 100_000;

const TOP_KEYS: &[&str] =
    &["fleet", "defaults", "groups", "hosts", "projects", "rollout", "monitor", "sinks"];

/// A fleet: its hosts, groups, projects and how they are rolled out and watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    /// The file it was read from.
    pub path: PathBuf,
    /// `[fleet]`.
    pub fleet: Fleet,
    /// `[defaults]`.
    pub defaults: Defaults,
    /// `[groups]`, in the order of the file.
    pub groups: Vec<Group>,
    /// `[projects]`, in the order of the file.
    pub projects: Vec<Project>,
    /// `[rollout]`.
    pub rollout: Rollout,
    /// `[monitor]`.
    pub monitor: Monitor,
    /// `[[sinks]]`.
    pub sinks: Vec<Sink>,
    pub(crate) hosts: Hosts,
}

/// `[fleet]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// The name of the fleet: part of every alert's identity.
    pub name: String,
}

/// `[defaults]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Defaults {
    /// What is said about every host.
    pub settings: HostSettings,
    /// How many hosts are worked on at once, if the command line does not say.
    pub forks: Option<Located<u32>>,
}

impl Inventory {
    /// Reads an inventory.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.into(), source };
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(read)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::TooLarge { path: path.into(), limit: MAX_BYTES });
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| read(io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8 text")))?;
        Self::parse(&text, path)
    }

    /// Reads an inventory from its text; relative paths in it start at the folder of `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        // Editors on other systems put a mark before the first line.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut report = Report::new(text, path);
        let document = file::parse(text, &mut report);
        let inventory = if report.is_clean() { read(&document, path, &mut report) } else { None };
        report.finish().map_err(Error::Invalid)?;
        Ok(inventory.expect("an inventory without problems was read"))
    }

    /// Every host, in the order in which the file first names it.
    pub fn hosts(&self) -> &[HostName] {
        &self.hosts.names
    }

    /// The group of this name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The hosts of a group, those of nested groups included, in the order of the inventory.
    pub fn group_hosts(&self, group: &Group) -> Vec<HostName> {
        self.hosts.names_of(&group.members)
    }

    /// The project of this name.
    pub fn project(&self, name: &str) -> Option<&Project> {
        self.projects.iter().find(|project| project.name == name)
    }

    /// The hosts of a project, in the order of the inventory.
    pub fn project_hosts(&self, project: &Project) -> Vec<HostName> {
        self.hosts.names_of(&project.members)
    }

    /// The groups of a host, in the order of the file.
    pub(crate) fn groups_of(&self, id: u32) -> impl Iterator<Item = &Group> {
        let groups = self.hosts.groups.get(id as usize);
        groups.into_iter().flatten().filter_map(|at| self.groups.get(*at as usize))
    }
}

fn read(document: &Spanned<DeTable<'_>>, path: &Path, report: &mut Report<'_>) -> Option<Inventory> {
    let top = Table::document(document, TOP_KEYS, report);
    let mut inventory = Inventory {
        path: path.into(),
        fleet: read_fleet(&top, report),
        defaults: read_defaults(&top, report),
        groups: Vec::new(),
        projects: Vec::new(),
        rollout: Rollout::read(&top, report),
        monitor: Monitor::read(&top, report),
        sinks: sinks::read(&top, report),
        hosts: Hosts::default(),
    };
    read_hosts(&top, &mut inventory, report);
    // Selections of projects mean nothing while the hosts are wrong.
    let clean = report.is_clean();
    inventory.projects = project::read(&top, report);
    if clean && report.is_clean() {
        place(&mut inventory, report);
    }
    report.is_clean().then_some(inventory)
}

fn read_fleet(top: &Table<'_>, report: &mut Report<'_>) -> Fleet {
    let Some(item) = top.get("fleet") else {
        report.hinted(0..0, "the inventory has no [fleet]", Some("begin it with [fleet] and a name".into()));
        return Fleet::default();
    };
    let name = Table::open(item, &["name"], report).and_then(|fleet| {
        fleet
            .required("name", report)?
            .checked(report, |text| name::check_line("fleet name", text).map(|()| text.to_owned()))
    });
    Fleet { name: name.unwrap_or_default() }
}

fn read_defaults(top: &Table<'_>, report: &mut Report<'_>) -> Defaults {
    let keys: Vec<&str> = std::iter::once("forks").chain(HOST_KEYS.iter().copied()).collect();
    let Some(table) = top.get("defaults").and_then(|item| Table::open(item, &keys, report)) else {
        return Defaults::default();
    };
    let forks = table.get("forks").and_then(|item| {
        let value = item.number(1..=MAX_FORKS, report)?.try_into().ok()?;
        Some(Located { value, line: report.line(item.key.start) })
    });
    Defaults { settings: HostSettings::read(&table, report), forks }
}

/// One table that names hosts.
enum Mention<'t> {
    Group(Box<group::Draft<'t>>),
    Host(Item<'t>),
}

/// Reads groups and hosts in the order of the file, which is the order of the hosts.
fn read_hosts(top: &Table<'_>, inventory: &mut Inventory, report: &mut Report<'_>) {
    let mut mentions: Vec<(usize, Mention<'_>)> = Vec::new();
    if let Some(groups) = top.get("groups").and_then(|item| Table::any(item, report)) {
        let drafts = groups.items().iter().filter_map(|item| group::read(item, report));
        mentions.extend(drafts.map(|draft| (draft.offset(), Mention::Group(Box::new(draft)))));
    }
    let group_names: Vec<String> = top.get("groups").map(|item| table_keys(item)).unwrap_or_default();
    if let Some(hosts) = top.get("hosts").and_then(|item| Table::any(item, report)) {
        mentions.extend(hosts.items().iter().map(|item| (item.key.start, Mention::Host(item.clone()))));
    }
    mentions.sort_by_key(|(offset, _)| *offset);
    let known: Vec<&str> = group_names.iter().map(String::as_str).collect();
    let mut spans = Vec::new();
    for (offset, mention) in mentions {
        match mention {
            Mention::Group(draft) => {
                let group = draft.add_hosts(&known, &mut inventory.hosts, report);
                spans.push(offset);
                inventory.groups.push(group);
            }
            Mention::Host(item) => read_host(&item, &mut inventory.hosts, report),
        }
    }
    group::flatten(&mut inventory.groups, &spans, report);
    inventory.hosts.index_groups(inventory.groups.iter().map(|group| group.members.as_slice()));
    for (group, offset) in inventory.groups.iter().zip(spans) {
        if inventory.hosts.id(&group.name).is_some() {
            let message = format!("{:?} is the name of a host and of a group", group.name);
            report.problem(offset..offset + group.name.len(), message);
        }
        let nested = !group.children.is_empty();
        if group.members.is_empty() && nested && report.is_clean() {
            report.problem(offset..offset + group.name.len(), format!("group {:?} has no hosts", group.name));
        }
    }
}

fn table_keys(item: &Item<'_>) -> Vec<String> {
    let table = item.value.get_ref().as_table();
    table.into_iter().flat_map(|table| table.keys()).map(|key| key.get_ref().to_string()).collect()
}

fn read_host(item: &Item<'_>, hosts: &mut Hosts, report: &mut Report<'_>) {
    let Some(table) = Table::open(item, HOST_KEYS, report) else { return };
    let settings = HostSettings::read(&table, report);
    match hosts.add(item.name) {
        Ok(id) => {
            hosts.settings.insert(id, settings);
        }
        Err(error) => {
            let hint = if item.name.contains('[') {
                Some("a [hosts] table is one host; ranges belong into the `hosts` of a group".to_owned())
            } else {
                did_you_mean(item.name, hosts.names.iter().map(HostName::as_str))
            };
            report.hinted(item.key.clone(), error.to_string(), hint);
        }
    }
}

/// Finds the hosts of every project, and refuses two agents on one working tree.
fn place(inventory: &mut Inventory, report: &mut Report<'_>) {
    let mut owner: HashMap<(u32, &str), &str> = HashMap::new();
    let mut placed = Vec::new();
    for project in &inventory.projects {
        match inventory.select_static(&project.on) {
            Ok(members) => {
                let taken = members.iter().find_map(|id| {
                    let other = owner.insert((*id, &project.work_dir), &project.name)?;
                    Some((other, inventory.hosts.name(*id)?))
                });
                if let Some((other, host)) = taken {
                    let message = format!(
                        "projects {other} and {} both work in {:?} on {host}",
                        project.name, project.work_dir
                    );
                    report.problem(project.on_span.clone(), message);
                }
                placed.push(members);
            }
            Err(error) => {
                let start = project.on_span.start + 1;
                let plain = project.on_span.len() == project.on.len() + 2;
                let span = if plain {
                    start + error.at.start..start + error.at.end
                } else {
                    project.on_span.clone()
                };
                report.hinted(span, error.message(), error.hint.clone());
                placed.push(Vec::new());
            }
        }
    }
    for (project, members) in inventory.projects.iter_mut().zip(placed) {
        project.members = members;
    }
}
