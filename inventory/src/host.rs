//! What can be said about a host, on the host itself, on a group or in the defaults: one list, defined once.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::file::{Item, Report, Table};
use crate::jump::ProxyJump;
use crate::local_path::LocalPath;
use crate::name::{self, HostName};
use crate::source::{Located, Origin, Source, Sourced};

/// Longest connect timeout that is taken for meant, in seconds.
const MAX_TIMEOUT_S: u64 = 3600;
/// Most variables of one host, group or the defaults.
const MAX_LIST: usize = 64;

/// A setting as a line of a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The key in the inventory.
    pub key: String,
    /// The value in words.
    pub value: String,
    /// Where it came from.
    pub source: Source,
}

macro_rules! host_settings {
    ($( $(#[$doc:meta])* $key:literal $field:ident : $type:ty = $read:path ; )*) => {
        /// Every key that a host, a group and the defaults may carry.
        pub const HOST_KEYS: &[&str] = &[$($key,)* "vars"];

        /// What one table of the inventory says about its hosts.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct HostSettings {
            $( $(#[$doc])* pub $field: Option<Located<$type>>, )*
            /// Variables for templates.
            pub vars: BTreeMap<String, Located<toml::Value>>,
        }

        impl HostSettings {
            pub(crate) fn read(table: &Table<'_>, report: &mut Report<'_>) -> Self {
                Self {
                    $( $field: table.get($key).and_then(|item| {
                        let value = $read(item, report)?;
                        Some(Located { value, line: report.line(item.key.start) })
                    }), )*
                    vars: read_vars(table, report),
                }
            }
        }

        /// A host with all its settings, each with where it came from; what nobody set is `None`.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        pub struct ResolvedHost {
            /// The name in the inventory.
            pub name: HostName,
            /// The groups it is in, in the order of the file.
            pub groups: Vec<String>,
            $( $(#[$doc])* pub $field: Option<Sourced<$type>>, )*
            /// Variables for templates, merged key by key.
            #[serde(serialize_with = "crate::secret::serialize")]
            pub vars: BTreeMap<String, Sourced<toml::Value>>,
        }

        impl ResolvedHost {
            pub(crate) fn new(name: HostName, groups: Vec<String>) -> Self {
                Self { name, groups, $( $field: None, )* vars: BTreeMap::new() }
            }

            /// Takes from `settings` what no stronger source has set.
            pub(crate) fn fill(&mut self, settings: &HostSettings, origin: &Origin, path: &Path) {
                $( if self.$field.is_none() {
                    self.$field = settings.$field.as_ref().map(|found| Sourced::new(found, origin, path));
                } )*
                for (key, found) in &settings.vars {
                    if !self.vars.contains_key(key) {
                        self.vars.insert(key.clone(), Sourced::new(found, origin, path));
                    }
                }
            }

            /// Every setting that is set, in words, in the order of the documentation.
            pub fn shown(&self) -> Vec<Shown> {
                let mut rows = Vec::new();
                $( if let Some(set) = &self.$field {
                    rows.push(Shown {
                        key: $key.into(),
                        value: InWords::in_words(&set.value),
                        source: set.source.clone(),
                    });
                } )*
                rows.extend(self.vars.iter().map(|(key, set)| Shown {
                    key: format!("vars.{key}"),
                    value: crate::secret::shown(&set.value).to_string(),
                    source: set.source.clone(),
                }));
                rows
            }
        }
    };
}

host_settings! {
    /// Where to connect to, if the name is not the address.
    "address" address: String = read_address;
    /// The TCP port.
    "port" port: u16 = read_port;
    /// The user to log in as.
    "user" user: String = read_user;
    /// Key files to offer, in this order.
    "identity_file" identity_file: Vec<LocalPath> = read_paths;
    /// Whether only these key files are offered, not every key of the agent.
    "identities_only" identities_only: bool = Item::flag;
    /// The hosts to go through.
    "proxy_jump" proxy_jump: ProxyJump = read_jump;
    /// The name to look up in known_hosts instead of the address.
    "host_key_alias" host_key_alias: String = read_address;
    /// Files with known host keys, instead of OpenSSH's own.
    "known_hosts" known_hosts: Vec<LocalPath> = read_paths;
    /// How long a connection may take to be made, in seconds.
    "connect_timeout" connect_timeout: u64 = read_timeout;
    /// Whether to work as another user through sudo.
    "become" r#become: bool = Item::flag;
    /// The user to work as through sudo; root if only `become` is set.
    "become_user" become_user: String = read_user;
    /// The login with the provider that the host shares with others of this name.
    "account" account: String = read_account;
}

fn read_address(item: &Item<'_>, report: &mut Report<'_>) -> Option<String> {
    item.checked(report, |text| name::check_address(text).map(|()| text.to_owned()))
}

fn read_user(item: &Item<'_>, report: &mut Report<'_>) -> Option<String> {
    item.checked(report, |text| name::check_user(text).map(|()| text.to_owned()))
}

fn read_account(item: &Item<'_>, report: &mut Report<'_>) -> Option<String> {
    item.checked(report, |text| name::check_line("account", text).map(|()| text.to_owned()))
}

fn read_jump(item: &Item<'_>, report: &mut Report<'_>) -> Option<ProxyJump> {
    item.checked(report, str::parse)
}

fn read_port(item: &Item<'_>, report: &mut Report<'_>) -> Option<u16> {
    item.number(1..=u16::MAX.into(), report).and_then(|port| port.try_into().ok())
}

fn read_timeout(item: &Item<'_>, report: &mut Report<'_>) -> Option<u64> {
    item.number(1..=MAX_TIMEOUT_S, report)
}

fn read_paths(item: &Item<'_>, report: &mut Report<'_>) -> Option<Vec<LocalPath>> {
    let items = item.one_or_many(report)?;
    if items.is_empty() || items.len() > MAX_LIST {
        report.problem(item.span(), format!("`{}` names 1 to {MAX_LIST} files", item.path));
        return None;
    }
    items.iter().map(|item| read_path(item, report)).collect()
}

/// Reads a path on this machine.
pub(crate) fn read_path(item: &Item<'_>, report: &mut Report<'_>) -> Option<LocalPath> {
    let folder = report.folder();
    item.checked(report, |text| name::check_line("path", text).map(|()| LocalPath::new(text, folder)))
}

/// Reads the `vars` table of a host, a group, the defaults or a project.
pub(crate) fn read_vars(
    table: &Table<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<String, Located<toml::Value>> {
    let Some(vars) = table.get("vars").and_then(|item| Table::any(item, report)) else {
        return BTreeMap::new();
    };
    let mut read = BTreeMap::new();
    for item in vars.items() {
        // A template can only name what looks like an identifier.
        let named = item.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && item.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !named {
            let message = format!("variable {:?} is not letters, digits and '_', a letter first", item.name);
            report.problem(item.key.clone(), message);
        }
        if let Some(value) = item.toml(report) {
            read.insert(item.name.to_owned(), Located { value, line: report.line(item.key.start) });
        }
    }
    read
}

/// A value as a list of settings shows it.
trait InWords {
    fn in_words(&self) -> String;
}

impl InWords for String {
    fn in_words(&self) -> String {
        self.clone()
    }
}

impl InWords for bool {
    fn in_words(&self) -> String {
        self.to_string()
    }
}

impl InWords for u16 {
    fn in_words(&self) -> String {
        self.to_string()
    }
}

impl InWords for u64 {
    fn in_words(&self) -> String {
        self.to_string()
    }
}

impl InWords for ProxyJump {
    fn in_words(&self) -> String {
        self.to_string()
    }
}

impl InWords for Vec<LocalPath> {
    fn in_words(&self) -> String {
        let paths: Vec<&str> = self.iter().map(LocalPath::as_written).collect();
        paths.join(", ")
    }
}
