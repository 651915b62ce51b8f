//! Who wins, and where it came from: host, then the last group of the file, then the defaults.

use crate::host::ResolvedHost;
use crate::inventory::Inventory;
use crate::source::Origin;

impl Inventory {
    /// A host with all its settings, or `None` if the inventory has no such host.
    pub fn host(&self, name: &str) -> Option<ResolvedHost> {
        let id = self.hosts.id(name)?;
        let groups: Vec<_> = self.groups_of(id).collect();
        let names = groups.iter().map(|group| group.name.clone()).collect();
        let mut host = ResolvedHost::new(self.hosts.name(id)?.clone(), names);
        if let Some(own) = self.hosts.settings(id) {
            host.fill(own, &Origin::Host(name.into()), &self.path);
        }
        for group in groups.iter().rev() {
            host.fill(&group.settings, &Origin::Group(group.name.clone()), &self.path);
        }
        host.fill(&self.defaults.settings, &Origin::Defaults, &self.path);
        Some(host)
    }
}
