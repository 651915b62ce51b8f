//! From the inventory and a selection to the hosts a run is for, each with how it is reached.

use std::collections::HashMap;

use agent_runner_inventory::{
    HostName, Inventory, Project, Remembered, ResolvedHost, SelectError, Selection,
};

use crate::connection::{Connections, ConnectionError};
use crate::ssh::{Settings, Sudo};

/// One host of a run.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub name: HostName,
    /// What the inventory says of it.
    pub host: ResolvedHost,
    /// How it is reached.
    pub settings: Settings,
}

impl Target {
    /// Returns how to become root there, when the inventory says so.
    pub fn sudo(&self) -> Option<Sudo> {
        let becomes = self.host.r#become.as_ref().is_some_and(|set| set.value);
        becomes.then_some(Sudo::WithoutPassword)
    }
}

/// What a selection is made of.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `PATTERN` and `--limit`; empty is all.
    pub limit: Vec<String>,
    /// `--exclude`.
    pub exclude: Vec<String>,
    /// What `@failed` and `@unreached` stand for.
    pub remembered: Remembered,
}

/// Why there are no targets.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The selection is wrong or empty.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A host's connection settings are wrong.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// Returns the hosts of a selection, in the inventory's order.
///
/// # Errors
/// When the selection is wrong or empty, or a host's settings are.
pub fn select(inventory: &Inventory, wanted: &Wanted, connections: &Connections) -> Result<Vec<Target>, TargetError> {
    let mut selection = Selection::limit(wanted.limit.iter().map(String::as_str));
    selection.exclude.clone_from(&wanted.exclude);
    selection.remembered.clone_from(&wanted.remembered);
    let names = inventory.select(&selection)?;
    let mut targets = Vec::with_capacity(names.len());
    for name in names {
        let Some(host) = inventory.host(name.as_str()) else { continue };
        let settings = connections.settings(inventory, &host)?;
        targets.push(Target { name, host, settings });
    }
    Ok(targets)
}

/// Which projects each host has.
#[derive(Debug)]
pub struct Projects<'a> {
    by_host: HashMap<HostName, Vec<&'a Project>>,
}

impl<'a> Projects<'a> {
    /// Returns the projects of every host, in the inventory's order; with names given, only those.
    ///
    /// # Errors
    /// The first name that no project has.
    pub fn of(inventory: &'a Inventory, only: &[String]) -> Result<Projects<'a>, String> {
        if let Some(unknown) = only.iter().find(|name| inventory.project(name).is_none()) {
            return Err(unknown.clone());
        }
        let mut by_host: HashMap<HostName, Vec<&Project>> = HashMap::new();
        for project in inventory.projects.iter().filter(|one| only.is_empty() || only.contains(&one.name)) {
            for host in inventory.project_hosts(project) {
                by_host.entry(host).or_default().push(project);
            }
        }
        Ok(Projects { by_host })
    }

    /// Returns a host's projects.
    pub fn on(&self, host: &HostName) -> &[&'a Project] {
        self.by_host.get(host).map_or(&[], Vec::as_slice)
    }
}
