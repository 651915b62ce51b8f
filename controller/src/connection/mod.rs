//! Who decides how a host is reached: the command line, then the inventory, then OpenSSH's own configuration.

mod explain;
mod ssh_g;

pub use explain::{Explained, Fate, keyword};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_runner_inventory::ssh_config::{
    self, AlgorithmChange, Algorithms, Local, Overrides, Resolved, Setting, SettingSource, SshConfig,
    SshConfigError, StrictHostKeyChecking, Unsupported,
};
use agent_runner_inventory::{Hop, Inventory, LocalPath, NoHome, ProxyJump, ResolvedHost, Sourced};

use self::ssh_g::SshG;
use crate::ssh::{
    AddressFamily, AlgorithmFilters, IdentityAgent, IdentityFile, IdentityOrigin, Method, NameForm, Settings,
    Strictness,
};

/// The longest chain of jump hosts, their own jump hosts included.
const HOPS_MAX: usize = 16;

/// Why it cannot be said how a host is reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// OpenSSH's configuration cannot be read.
    #[error(transparent)]
    Config(#[from] SshConfigError),
    /// Something in it is beyond us, and `ssh` does not help.
    #[error("{host}: {}:{}: {}: {why}", setting.file.display(), setting.line, setting.keyword)]
    Unsupported {
        /// The host.
        host: String,
        /// The setting.
        setting: Box<Unsupported>,
        /// What was tried.
        why: String,
    },
    /// A path needs a home folder and there is none.
    #[error("{host}: {path} needs a home folder, and HOME is not set")]
    NoHome {
        /// The host.
        host: String,
        /// The path as written.
        path: String,
    },
    /// Jump hosts lead in a circle, or there are too many.
    #[error("{host}: more than {HOPS_MAX} jump hosts; do they lead in a circle?")]
    TooManyHops {
        /// The host.
        host: String,
    },
}

/// What the command line says of every connection.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `--user`.
    pub user: Option<String>,
    /// `--connect-timeout`, in seconds.
    pub connect_timeout: Option<u64>,
}

/// Resolves how hosts are reached.
#[derive(Debug, Clone)]
pub struct Connections {
    config: SshConfig,
    local: Local,
    given: Given,
    ssh_g: SshG,
}

impl Connections {
    /// Reads OpenSSH's own configuration files; missing ones are empty.
    ///
    /// # Errors
    /// When one of them cannot be read or understood, with file and line.
    pub fn load(local: Local, given: Given) -> Result<Connections, ConnectionError> {
        let config = SshConfig::load(&local.standard_files(), &local)?;
        Ok(Connections { config, local, given, ssh_g: SshG::default() }.find_own_files())
    }

    /// Has `ssh -G` read the files that were read here, where it would look elsewhere.
    fn find_own_files(mut self) -> Connections {
        let account = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
        if account.is_none_or(|account| account.dir != self.local.home) {
            self.ssh_g = self.ssh_g.reading(&self.local.standard_files());
        }
        self
    }

    /// Remembers in `folder` what `ssh -G` says.
    #[must_use]
    pub fn cached_in(mut self, folder: PathBuf) -> Connections {
        self.ssh_g = SshG::new(Some(folder), self.config.files());
        self.find_own_files()
    }

    /// Returns the host names that OpenSSH's configuration spells out.
    pub fn aliases(&self) -> Vec<String> {
        self.config.aliases()
    }

    /// Returns how a host of the inventory is reached.
    ///
    /// # Errors
    /// When a setting cannot be settled; nothing is dropped silently.
    pub fn settings(&self, inventory: &Inventory, host: &ResolvedHost) -> Result<Settings, ConnectionError> {
        self.with_jumps(inventory, host, (self.overrides(host), HOPS_MAX))
    }

    fn with_jumps(
        &self,
        inventory: &Inventory,
        host: &ResolvedHost,
        (overrides, hops): (Overrides, usize),
    ) -> Result<Settings, ConnectionError> {
        let name = host.name.as_str();
        let found = self.resolve(name, &overrides)?;
        let mut settings = base(name, &found.settings);
        if let Some(files) = value(&host.identity_file) {
            let paths = self.local_paths(name, &files)?;
            settings.identities = paths.into_iter().map(IdentityFile::configured).collect();
        }
        if let Some(only) = value(&host.identities_only) {
            settings.identities_only = only;
        }
        if let Some(alias) = value(&host.host_key_alias) {
            settings.host_key_alias = Some(alias);
        }
        if let Some(files) = value(&host.known_hosts) {
            settings.user_known_hosts = self.local_paths(name, &files)?;
        }
        if let Some(seconds) = self.given.connect_timeout.or_else(|| value(&host.connect_timeout)) {
            settings.connect_timeout = Duration::from_secs(seconds);
        }
        let jump = value(&host.proxy_jump).or_else(|| found.settings.proxy_jump.map(|set| set.value));
        settings.jumps = self.jumps(inventory, name, jump, hops)?;
        if !settings.jumps.is_empty() || host.proxy_jump.is_some() {
            settings.proxy_command = None;
        }
        Ok(settings)
    }

    /// Returns what OpenSSH would be told on its command line. As its -l, `--user` is for the host and not for the hosts
    /// on the way to it.
    fn overrides(&self, host: &ResolvedHost) -> Overrides {
        let user = self.given.user.clone().or_else(|| value(&host.user));
        with_address(host, user, value(&host.port))
    }

    /// Returns the chain of jump hosts, the one nearest to us first; each may have its own.
    fn jumps(
        &self,
        inventory: &Inventory,
        host: &str,
        jump: Option<ProxyJump>,
        hops: usize,
    ) -> Result<Vec<Settings>, ConnectionError> {
        let Some(ProxyJump::Through(through)) = jump else { return Ok(Vec::new()) };
        let left = hops.checked_sub(through.len()).filter(|left| *left > 0);
        let left = left.ok_or_else(|| ConnectionError::TooManyHops { host: host.to_owned() })?;
        let mut chain = Vec::with_capacity(through.len());
        for hop in through {
            let mut settings = self.hop(inventory, &hop, left)?;
            // Behind the first hop the way is ours: the hop before leads there.
            let before = std::mem::take(&mut settings.jumps);
            if chain.is_empty() {
                chain.extend(before);
            }
            chain.push(settings);
        }
        Ok(chain)
    }

    /// Returns how a jump host is reached: a host of the inventory, else what OpenSSH knows under that name.
    fn hop(&self, inventory: &Inventory, hop: &Hop, hops: usize) -> Result<Settings, ConnectionError> {
        // What the jump says of itself is known before anything is looked up: `Match user`, %r and %p go by it.
        let (user, port) = (hop.user.clone(), hop.port);
        if let Some(host) = inventory.host(&hop.host) {
            let (user, port) = (user.or_else(|| value(&host.user)), port.or_else(|| value(&host.port)));
            return self.with_jumps(inventory, &host, (with_address(&host, user, port), hops));
        }
        let found = self.resolve(&hop.host, &Overrides { user, port, host_name: None })?;
        let mut settings = base(&hop.host, &found.settings);
        if let Some(seconds) = self.given.connect_timeout {
            settings.connect_timeout = Duration::from_secs(seconds);
        }
        let jump = found.settings.proxy_jump.map(|set| set.value);
        settings.jumps = self.jumps(inventory, &hop.host, jump, hops)?;
        Ok(settings)
    }

    /// Asks our own resolver, and `ssh -G` for what it does not cover.
    fn resolve(&self, name: &str, overrides: &Overrides) -> Result<Resolved, ConnectionError> {
        let found = self.config.resolve(name, &self.local, overrides);
        let refuse = |setting: &Unsupported, why: String| ConnectionError::Unsupported {
            host: name.to_owned(),
            setting: Box::new(setting.clone()),
            why,
        };
        if let Some(setting) = found.invalid().next() {
            return Err(refuse(setting, why(setting)));
        }
        let Some(setting) =
            found.unsupported.iter().find(|one| one.ssh_can_tell()).filter(|_| found.needs_ssh())
        else {
            return Ok(found);
        };
        let said = self.ssh_g.ask(name, overrides).map_err(|error| refuse(setting, error))?;
        Ok(SshConfig::from_ssh_g(&said, name, &self.local)?)
    }

    fn local_paths(&self, host: &str, files: &[LocalPath]) -> Result<Vec<PathBuf>, ConnectionError> {
        let home = Some(self.local.home.as_path()).filter(|home| !home.as_os_str().is_empty());
        let resolve = |file: &LocalPath| {
            file.resolve(home).map_err(|NoHome(path)| ConnectionError::NoHome { host: host.to_owned(), path })
        };
        files.iter().map(resolve).collect()
    }
}

/// Returns what this machine knows and OpenSSH's configuration refers to.
pub fn local(home: Option<&Path>, user: &str, machine: &str, variables: BTreeMap<String, String>) -> Local {
    let mut local = Local::new(home.unwrap_or(Path::new("")), user);
    local.uid = nix::unistd::getuid().as_raw();
    machine.clone_into(&mut local.host_name);
    local.variables = variables;
    local
}

/// Returns what OpenSSH would be told of a host of the inventory.
fn with_address(host: &ResolvedHost, user: Option<String>, port: Option<u16>) -> Overrides {
    Overrides { user, port, host_name: value(&host.address) }
}

fn value<T: Clone>(set: &Option<Sourced<T>>) -> Option<T> {
    set.as_ref().map(|set| set.value.clone())
}

/// Returns OpenSSH's settings as ours, under the name the inventory uses.
fn base(name: &str, found: &ssh_config::Settings) -> Settings {
    let mut settings = Settings::new(found.host_name.value.clone(), found.user.value.clone());
    name.clone_into(&mut settings.name);
    settings.port = found.port.value;
    settings.identities = found.identity_files.iter().map(identity).collect();
    settings.identities_only = found.identities_only.value;
    settings.identity_agent = match &found.identity_agent.value {
        ssh_config::IdentityAgent::None => IdentityAgent::None,
        // Any other variable was looked up when the file was read.
        ssh_config::IdentityAgent::Variable(_) => IdentityAgent::Default,
        ssh_config::IdentityAgent::Socket(path) => IdentityAgent::Socket(path.clone()),
    };
    settings.certificates = found.certificate_files.iter().map(|set| set.value.clone()).collect();
    settings.proxy_command = found.proxy_command.as_ref().map(|set| set.value.clone());
    settings.host_key_alias = found.host_key_alias.as_ref().map(|set| set.value.clone());
    settings.user_known_hosts = found.user_known_hosts_files.value.clone();
    settings.global_known_hosts = found.global_known_hosts_files.value.clone();
    settings.revoked_host_keys = found.revoked_host_keys.as_ref().map(|set| set.value.clone());
    // A key that contradicts the record is refused whatever is configured; `no` only means not to ask for new ones.
    settings.strictness = match found.strict_host_key_checking.value {
        StrictHostKeyChecking::Yes | StrictHostKeyChecking::Ask => Strictness::Strict,
        StrictHostKeyChecking::No | StrictHostKeyChecking::AcceptNew => Strictness::AcceptNew,
    };
    if let Some(seconds) = found.connect_timeout.value {
        settings.connect_timeout = Duration::from_secs(seconds.into());
    }
    if found.server_alive_interval.value > 0 {
        settings.keepalive_interval = Some(Duration::from_secs(found.server_alive_interval.value.into()));
        settings.keepalive_count = usize::try_from(found.server_alive_count_max.value).unwrap_or(usize::MAX);
    }
    settings.algorithms = AlgorithmFilters {
        ciphers: filter(found.ciphers.as_ref()),
        macs: filter(found.macs.as_ref()),
        kex: filter(found.kex_algorithms.as_ref()),
        host_keys: filter(found.host_key_algorithms.as_ref()),
    };
    settings.address_family = match found.address_family.value {
        ssh_config::AddressFamily::Any => AddressFamily::Any,
        ssh_config::AddressFamily::Inet => AddressFamily::V4,
        ssh_config::AddressFamily::Inet6 => AddressFamily::V6,
    };
    settings.bind_address = found.bind_address.as_ref().map(|set| set.value.clone());
    settings.connection_attempts = found.connection_attempts.value;
    settings.methods = methods(found);
    settings.asks_nobody = found.batch_mode.value;
    if found.hash_known_hosts.value {
        settings.record_names = NameForm::Hashed;
    }
    settings
}

/// Returns the ways to log in: those that are preferred, in that order, without those that are switched off.
fn methods(found: &ssh_config::Settings) -> Vec<Method> {
    let preferred = match &found.preferred_authentications {
        Some(set) => set.value.iter().filter_map(|name| Method::of_name(name)).collect(),
        None => Method::ALL.to_vec(),
    };
    let is_on = |method: &Method| match method {
        Method::PublicKey => found.pubkey_authentication.value,
        Method::KeyboardInteractive => found.kbd_interactive_authentication.value,
        Method::Password => found.password_authentication.value,
    };
    preferred.into_iter().filter(is_on).collect()
}

fn identity(set: &Setting<PathBuf>) -> IdentityFile {
    let origin = match set.source {
        SettingSource::Default => IdentityOrigin::DefaultName,
        SettingSource::File { .. } | SettingSource::Override | SettingSource::SshG => {
            IdentityOrigin::Configured
        }
    };
    IdentityFile { path: set.value.clone(), origin }
}

fn filter(set: Option<&Setting<Algorithms>>) -> Option<String> {
    let Setting { value: Algorithms { change, names }, .. } = set?;
    let sign = match change {
        AlgorithmChange::Replace => "",
        AlgorithmChange::Append => "+",
        AlgorithmChange::Remove => "-",
        AlgorithmChange::Prepend => "^",
    };
    Some(format!("{sign}{}", names.join(",")))
}

fn why(setting: &Unsupported) -> String {
    match &setting.why {
        ssh_config::Why::AskSsh(text)
        | ssh_config::Why::Invalid(text)
        | ssh_config::Why::NotOffered(text) => text.clone(),
        ssh_config::Why::UnknownKeyword => "unknown keyword".to_owned(),
    }
}
