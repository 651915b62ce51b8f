//! `agent-runner-fleet hosts`.

use std::fmt::Write as _;

use agent_runner_inventory::{HostName, Inventory, ResolvedHost};
use clap::Args;
use serde_json::json;

use super::context::printed;
use super::{Ctx, Patterns};
use crate::error::{Error, Exit};
use crate::output::print;
use crate::targets::Projects;

/// Show what the inventory says of hosts and groups
///
/// One host: each setting with its file and line. Several: a line each. Nothing is connected to.
#[derive(Debug, Args)]
pub struct HostsArgs {
    #[command(flatten)]
    on: Patterns,
    /// Show the groups as a tree
    #[arg(long)]
    graph: bool,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: HostsArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let names = ctx.names(&inventory, &args.on.patterns)?;
    let projects = ctx.projects(&inventory, &[])?;
    if ctx.global.json {
        for name in &names {
            let Some(host) = inventory.host(name.as_str()) else { continue };
            let names: Vec<&str> = projects.on(name).iter().map(|project| project.name.as_str()).collect();
            printed(print::json_line(&json!({"schema": 1, "host": host, "projects": names})))?;
        }
        return Ok(Exit::Ok);
    }
    let text = match names.as_slice() {
        _ if args.graph => graph(&inventory, &names),
        [one] => inventory.host(one.as_str()).map(|host| detail(&host, &projects)).unwrap_or_default(),
        several => list(&inventory, several, &projects),
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

fn detail(host: &ResolvedHost, projects: &Projects<'_>) -> String {
    let mut text = format!("{}\n", host.name);
    let rows = host.shown();
    let width = rows.iter().map(|row| row.key.len()).max().unwrap_or_default();
    for row in rows {
        let _ = writeln!(text, "  {:width$}  {}  ({})", row.key, row.value, row.source);
    }
    let groups = if host.groups.is_empty() { "none".to_owned() } else { host.groups.join(", ") };
    let _ = writeln!(text, "groups: {groups}");
    let on: Vec<&str> = projects.on(&host.name).iter().map(|project| project.name.as_str()).collect();
    let _ = writeln!(text, "projects: {}", if on.is_empty() { "none".to_owned() } else { on.join(", ") });
    text
}

/// Shows every group with the selected hosts in it, then the hosts in no group.
fn graph(inventory: &Inventory, names: &[HostName]) -> String {
    let mut text = format!("{}\n", inventory.fleet.name);
    let mut ungrouped: Vec<&HostName> = names.iter().collect();
    for group in &inventory.groups {
        let members = inventory.group_hosts(group);
        let shown: Vec<&HostName> = members.iter().filter(|name| names.contains(name)).collect();
        ungrouped.retain(|name| !members.contains(name));
        if shown.is_empty() {
            continue;
        }
        let _ = writeln!(text, "  @{}", group.name);
        for name in shown {
            let _ = writeln!(text, "    {name}");
        }
    }
    for name in ungrouped {
        let _ = writeln!(text, "  {name}");
    }
    text
}
