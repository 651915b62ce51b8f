//! The hosts a run is for, each with how it is reached and which projects it has.

use std::collections::HashMap;

use agent_runner_inventory::{HostName, Inventory, Project, ResolvedHost};

use secrecy::SecretString;

use crate::connection::{ConnectionError, Connections};
use crate::ssh::{Exec, Settings, Sudo};

/// One host of a run.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub name: HostName,
    /// What the inventory says of it.
    pub host: ResolvedHost,
    /// How it is reached.
    pub settings: Settings,
    become_password: Option<SecretString>,
    become_wanted: bool,
}

impl Target {
    /// Returns how to become another user there, where the command line or the inventory says so.
    pub fn sudo(&self) -> Option<Sudo> {
        let user = self.host.become_user.as_ref().map(|set| set.value.clone());
        self.becomes().then(|| Sudo::to_root().user(user).password(self.become_password.clone()))
    }

    /// Returns whether what runs there runs through sudo.
    pub fn becomes(&self) -> bool {
        self.become_wanted || self.host.r#become.as_ref().is_some_and(|set| set.value)
    }

    /// Sets that sudo is wanted whatever the inventory says (`--become`).
    pub fn want_sudo(&mut self) {
        self.become_wanted = true;
    }

    /// Sets the password sudo is given (`--ask-become-pass`).
    pub fn set_sudo_password(&mut self, password: SecretString) {
        self.become_password = Some(password);
    }

    /// Returns `exec` as it runs there: through sudo where that is wanted.
    pub fn exec(&self, exec: Exec) -> Exec {
        match self.sudo() {
            Some(sudo) => sudo.wrap(exec),
            None => exec,
        }
    }
}

/// Returns the named hosts, each with how it is reached.
///
/// # Errors
/// When a host's settings cannot be settled.
pub fn resolve(
    inventory: &Inventory,
    names: Vec<HostName>,
    connections: &Connections,
) -> Result<Vec<Target>, ConnectionError> {
    let mut targets = Vec::with_capacity(names.len());
    for name in names {
        let Some(host) = inventory.host(name.as_str()) else { continue };
        let settings = connections.settings(inventory, &host)?;
        targets.push(Target { name, host, settings, become_password: None, become_wanted: false });
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
