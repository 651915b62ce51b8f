//! The hosts of an inventory by number and by name, and the groups each is in.

use std::collections::HashMap;

use crate::host::HostSettings;
use crate::name::{HostName, NameError};

/// Most hosts of one inventory.
const MAX_HOSTS: usize = 1_000_000;

/// The hosts of an inventory, numbered in the order in which the file first names them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Hosts {
    pub(crate) names: Vec<HostName>,
    ids: HashMap<HostName, u32>,
    pub(crate) settings: HashMap<u32, HostSettings>,
    /// For each host the indices of its groups, ascending.
    pub(crate) groups: Vec<Vec<u32>>,
}

impl Hosts {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    pub(crate) fn name(&self, id: u32) -> Option<&HostName> {
        self.names.get(id as usize)
    }

    pub(crate) fn settings(&self, id: u32) -> Option<&HostSettings> {
        self.settings.get(&id)
    }

    /// The number of a host, which is new or not.
    pub(crate) fn add(&mut self, name: &str) -> Result<u32, NameError> {
        if let Some(id) = self.id(name) {
            return Ok(id);
        }
        let name = HostName::new(name)?;
        if self.names.len() >= MAX_HOSTS {
            let why = format!("is one too many: an inventory has at most {MAX_HOSTS} hosts");
            return Err(NameError { what: "host", name: name.to_string(), why });
        }
        let id = u32::try_from(self.names.len()).expect("the limit on hosts is below 2^32");
        self.names.push(name.clone());
        self.ids.insert(name, id);
        Ok(id)
    }

    /// Notes for each host the places of its groups, given the members of each group.
    pub(crate) fn index_groups<'a>(&mut self, groups: impl Iterator<Item = &'a [u32]>) {
        self.groups = vec![Vec::new(); self.names.len()];
        for (at, group) in (0u32..).zip(groups) {
            for member in group {
                if let Some(own) = self.groups.get_mut(*member as usize) {
                    own.push(at);
                }
            }
        }
    }

    pub(crate) fn names_of(&self, ids: &[u32]) -> Vec<HostName> {
        ids.iter().filter_map(|id| self.name(*id)).cloned().collect()
    }
}
