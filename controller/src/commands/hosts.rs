//! `agent-runner-fleet hosts`.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use agent_runner_inventory::{Group, HostName, Inventory, ResolvedHost, fold_names};
use clap::Args;
use serde_json::json;

use crate::connection::{Explained, Fate, keyword};
use crate::error::{Error, Exit, config};
use crate::output::print;
use crate::targets::Projects;
use crate::verb::context::printed;
use crate::verb::{Ctx, Patterns};

/// Show what is known of hosts and groups
///
/// One host: each setting and who says so, the inventory with its line or OpenSSH's own configuration. Several: a line
/// each. Nothing is connected to.
#[derive(Debug, Args)]
pub struct HostsArgs {
    #[command(flatten)]
    on: Patterns,
    /// Show the groups as a tree, with the hosts each names itself
    #[arg(long)]
    graph: bool,
    /// Of one host, also show settings with OpenSSH's default
    #[arg(long)]
    all: bool,
}

/// Settings that are shown although nobody set them: no connection is made without.
const ALWAYS: [&str; 4] = ["HostName", "User", "Port", "IdentityFile"];

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: HostsArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let names = ctx.names(&inventory, &args.on.patterns)?;
    if ctx.global.list_hosts {
        return ctx.list_names(&names);
    }
    let projects = ctx.projects(&inventory, &[])?;
    let host = match names.as_slice() {
        [one] if !args.graph => inventory.host(one.as_str()),
        _ => None,
    };
    let settings = match &host {
        Some(host) => {
            let rows = ctx.connections()?.explain(&inventory, host);
            rows.map_err(|error| config(error.to_string()))?
        }
        None => Vec::new(),
    };
    if ctx.global.json {
        for name in &names {
            let Some(host) = inventory.host(name.as_str()) else { continue };
            let names: Vec<&str> = projects.on(name).iter().map(|project| project.name.as_str()).collect();
            let mut line = json!({"schema": 1, "host": host, "projects": names});
            if let (Some(line), false) = (line.as_object_mut(), settings.is_empty()) {
                line.insert("settings".to_owned(), json!(settings));
            }
            printed(print::json_line(&line))?;
        }
        return Ok(Exit::Ok);
    }
    let text = match &host {
        _ if args.graph => graph(&inventory, &names),
        Some(host) => {
            let is_shown =
                |row: &&Explained| args.all || !row.is_default || ALWAYS.contains(&row.keyword.as_str());
            let shown: Vec<&Explained> = settings.iter().filter(is_shown).collect();
            detail(host, &shown, &projects)
        }
        None => list(&inventory, &names, &projects),
    };
    printed(print::text(&text))?;
    Ok(Exit::Ok)
}

fn list(inventory: &Inventory, names: &[HostName], projects: &Projects<'_>) -> String {
    let width = names.iter().map(|name| name.as_str().len()).max().unwrap_or_default();
    let mut text = String::new();
    for name in names {
        let groups = inventory.host(name.as_str()).map(|host| host.groups).unwrap_or_default();
        let on: Vec<&str> = projects.on(name).iter().map(|project| project.name.as_str()).collect();
        let line = format!("{:width$}  @{}  {}", name.as_str(), groups.join(" @"), on.join(" "));
        let _ = writeln!(text, "{}", line.trim_end().trim_end_matches('@').trim_end());
    }
    text
}

/// Shows how the host is reached under OpenSSH's keywords, then what only an inventory knows.
fn detail(host: &ResolvedHost, settings: &[&Explained], projects: &Projects<'_>) -> String {
    let own: Vec<_> = host.shown().into_iter().filter(|row| keyword(&row.key).is_none()).collect();
    let widths = settings.iter().map(|row| row.keyword.len()).chain(own.iter().map(|row| row.key.len()));
    let width = widths.max().unwrap_or_default();
    let mut text = format!("{}\n", host.name);
    for row in settings {
        let fate = match row.fate {
            Fate::Honoured => String::new(),
            Fate::AskedOfSsh | Fate::NotApplicable => format!("  {}", row.fate.as_str()),
            Fate::NotFollowed => format!("  {}: {}", row.fate.as_str(), row.why),
        };
        let _ = writeln!(text, "  {:width$}  {}  ({}){fate}", row.keyword, row.value, row.source);
    }
    for row in own {
        let _ = writeln!(text, "  {:width$}  {}  ({})", row.key, row.value, row.source);
    }
    let groups = if host.groups.is_empty() { "none".to_owned() } else { host.groups.join(", ") };
    let _ = writeln!(text, "groups: {groups}");
    let on: Vec<&str> = projects.on(&host.name).iter().map(|project| project.name.as_str()).collect();
    let _ = writeln!(text, "projects: {}", if on.is_empty() { "none".to_owned() } else { on.join(", ") });
    text
}

/// Shows every group below the groups that contain it, with the selected hosts it names itself, then the hosts in no
/// group. Groups without a selected host are left out.
fn graph(inventory: &Inventory, names: &[HostName]) -> String {
    let selected: HashSet<&HostName> = names.iter().collect();
    let mut tree = Tree { inventory, members: HashMap::new(), text: format!("{}\n", inventory.fleet.name) };
    let mut grouped: HashSet<HostName> = HashSet::new();
    for group in &inventory.groups {
        let members = inventory.group_hosts(group).into_iter().filter(|name| selected.contains(name));
        let members: Vec<HostName> = members.collect();
        grouped.extend(members.iter().cloned());
        tree.members.insert(&group.name, members);
    }
    let contained: HashSet<&str> =
        inventory.groups.iter().flat_map(|group| group.children.iter().map(String::as_str)).collect();
    for group in inventory.groups.iter().filter(|group| !contained.contains(group.name.as_str())) {
        tree.add(group, 1);
    }
    let rest: Vec<&HostName> = names.iter().filter(|name| !grouped.contains(*name)).collect();
    tree.hosts(&rest, 1);
    tree.text
}

/// A tree of groups while it is written.
struct Tree<'a> {
    inventory: &'a Inventory,
    /// The selected hosts of each group, those of groups in it included.
    members: HashMap<&'a str, Vec<HostName>>,
    text: String,
}

impl<'a> Tree<'a> {
    fn add(&mut self, group: &'a Group, depth: usize) {
        let members = self.members.get(group.name.as_str()).cloned().unwrap_or_default();
        if members.is_empty() {
            return;
        }
        let _ = writeln!(self.text, "{:indent$}@{} ({})", "", group.name, members.len(), indent = depth * 2);
        let mut below: HashSet<HostName> = HashSet::new();
        for child in group.children.iter().filter_map(|name| self.inventory.group(name)) {
            self.add(child, depth + 1);
            below.extend(self.members.get(child.name.as_str()).into_iter().flatten().cloned());
        }
        let own: Vec<&HostName> = members.iter().filter(|name| !below.contains(*name)).collect();
        self.hosts(&own, depth + 1);
    }

    fn hosts(&mut self, names: &[&HostName], depth: usize) {
        if !names.is_empty() {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            let _ = writeln!(self.text, "{:indent$}{}", "", fold_names(&names), indent = depth * 2);
        }
    }
}
