//! What an inventory of another tool says, and which of it a fleet.toml can say.

use std::collections::{BTreeMap, BTreeSet};

use agent_runner_inventory::{MAX_NAMES, Pattern, check_group, check_host};

use super::{ansible_ini, ansible_yaml};

/// Why an inventory cannot be imported.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// A line is not as it should be.
    #[error("line {line}: {message}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Something else is not as it should be.
    #[error("{0}")]
    Shape(String),
}

/// Variables as they were written, by name.
pub(super) type Vars = BTreeMap<String, String>;

/// The hosts and groups of an inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// In the order of the file.
    pub(super) groups: Vec<ImportedGroup>,
    /// Every host's own variables; a host without any is there as well.
    pub(super) hosts: BTreeMap<String, Vars>,
    /// What holds for all.
    pub(super) vars: Vars,
    /// What was left out, a sentence each.
    pub left_out: BTreeSet<String>,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ImportedGroup {
    pub(super) name: String,
    pub(super) hosts: Vec<String>,
    pub(super) children: Vec<String>,
    pub(super) vars: Vars,
}

/// Reads an Ansible inventory, in INI or YAML.
///
/// # Errors
/// When it is neither.
pub fn ansible(text: &str) -> Result<Imported, ImportError> {
    let mut imported =
        if looks_like_yaml(text) { ansible_yaml::read(text)? } else { ansible_ini::read(text)? };
    imported.parents_first();
    Ok(imported)
}

/// Returns hosts that are known by name only, as those of an ssh_config.
pub fn aliases(names: Vec<String>) -> Imported {
    let mut imported = Imported::default();
    for name in names {
        imported.host("openssh", &name, Vars::new()).unwrap_or_else(|error| {
            imported.left_out.insert(format!("{name:?}: {error}"));
        });
    }
    imported
}

/// The first line that says something tells: YAML begins with `---` or `key:`.
fn looks_like_yaml(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    first.is_some_and(|line| {
        line == "---" || line.starts_with("{") || (line.ends_with(':') && !line.contains(' '))
    })
}

impl Imported {
    /// The group of this name, made where it is missing.
    pub(super) fn group(&mut self, name: &str) -> &mut ImportedGroup {
        let place = self.groups.iter().position(|group| group.name == name).unwrap_or(self.groups.len());
        if place == self.groups.len() {
            self.groups.push(ImportedGroup { name: name.to_owned(), ..ImportedGroup::default() });
        }
        self.groups.get_mut(place).expect("it was found or has just been pushed")
    }

    /// Adds the hosts a pattern stands for to a group. Groups that only mean "all" are not kept.
    pub(super) fn host(&mut self, group: &str, pattern: &str, vars: Vars) -> Result<(), ImportError> {
        let shape = |message: String| ImportError::Shape(message);
        let pattern = Pattern::parse(&ranges(pattern)).map_err(|error| shape(error.to_string()))?;
        if pattern.count().saturating_add(self.hosts.len()) > MAX_NAMES {
            return Err(shape(format!("more than {MAX_NAMES} hosts")));
        }
        for name in pattern.expand() {
            check_host(&name).map_err(|error| shape(error.to_string()))?;
            self.hosts.entry(name.clone()).or_default().extend(vars.clone());
            if !is_all(group) {
                let group = self.group(group);
                if !group.hosts.contains(&name) {
                    group.hosts.push(name);
                }
            }
        }
        Ok(())
    }

    /// Adds what holds for a group.
    pub(super) fn group_vars(&mut self, group: &str, vars: Vars) {
        if is_all(group) { self.vars.extend(vars) } else { self.group(group).vars.extend(vars) }
    }

    /// Adds a group to a group.
    pub(super) fn child(&mut self, parent: &str, child: &str) {
        if is_all(child) {
            return;
        }
        self.group(child);
        if !is_all(parent) {
            let parent = self.group(parent);
            if !parent.children.iter().any(|known| known == child) {
                parent.children.push(child.to_owned());
            }
        }
    }

    /// Checks a group's name.
    pub(super) fn checked_group(name: &str) -> Result<(), ImportError> {
        if is_all(name) {
            return Ok(());
        }
        check_group(name).map_err(|error| ImportError::Shape(error.to_string()))
    }

    /// Puts parents before their children: there the child's word counts, here that of the later group.
    fn parents_first(&mut self) {
        let mut waiting = std::mem::take(&mut self.groups);
        while !waiting.is_empty() {
            let is_child =
                |name: &str| waiting.iter().any(|other| other.children.iter().any(|child| child == name));
            // A circle has no beginning; then the file's order has to do.
            let next = waiting.iter().position(|group| !is_child(&group.name)).unwrap_or_default();
            self.groups.push(waiting.remove(next));
        }
    }
}

/// Whether a group of Ansible's stands for no group of ours.
fn is_all(group: &str) -> bool {
    group == "all" || group == "ungrouped"
}

/// Writes ranges as ours: a step stands after a `/`.
fn ranges(pattern: &str) -> String {
    let mut text = String::new();
    let mut colons = None;
    for c in pattern.chars() {
        match (c, colons) {
            ('[', _) => colons = Some(0),
            (']', _) => colons = None,
            (':', Some(1)) => {
                text.push('/');
                continue;
            }
            (':', Some(count)) => colons = Some(count + 1),
            _ => {}
        }
        text.push(c);
    }
    text
}
