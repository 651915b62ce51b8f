//! The settings of one host, typed, each with where it came from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::expand::{self, Tokens};
use super::resolve::{Entry, Found};
use super::values::{self, AddressFamily, Algorithms, IdentityAgent, StrictHostKeyChecking};
use crate::jump::ProxyJump;

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: SettingSource,
}

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingSource {
    /// A line of a configuration file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1.
        line: usize,
    },
    /// The caller.
    Override,
    /// `ssh -G`, which does not say where it has it from.
    SshG,
    /// OpenSSH's own default.
    Default,
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Override => f.write_str("given"),
            Self::SshG => f.write_str("ssh -G"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The settings of one host. What nobody set has OpenSSH's default, and says so in its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where to connect to: lower case, tokens expanded.
    pub host_name: Setting<String>,
    /// The user to log in as.
    pub user: Setting<String>,
    /// The port.
    pub port: Setting<u16>,
    /// Key files to offer; empty if all of them are `none`.
    pub identity_files: Vec<Setting<PathBuf>>,
    /// Certificates to offer.
    pub certificate_files: Vec<Setting<PathBuf>>,
    /// Whether only these keys are offered.
    pub identities_only: Setting<bool>,
    /// The agent to ask.
    pub identity_agent: Setting<IdentityAgent>,
    /// The hosts to go through. At most one of this and the command is set.
    pub proxy_jump: Option<Setting<ProxyJump>>,
    /// The command to talk through, tokens expanded; `none` is not kept.
    pub proxy_command: Option<Setting<String>>,
    /// The name to look up in known_hosts, in lower case.
    pub host_key_alias: Option<Setting<String>>,
    /// The user's known hosts; empty for `none`.
    pub user_known_hosts_files: Setting<Vec<PathBuf>>,
    /// The system's known hosts; empty for `none`.
    pub global_known_hosts_files: Setting<Vec<PathBuf>>,
    /// Keys never to accept.
    pub revoked_host_keys: Option<Setting<PathBuf>>,
    /// What happens with unknown keys.
    pub strict_host_key_checking: Setting<StrictHostKeyChecking>,
    /// Whether names are hashed when they are recorded.
    pub hash_known_hosts: Setting<bool>,
    /// Whether loopback hosts are not checked.
    pub no_host_authentication_for_localhost: Setting<bool>,
    /// How long connecting may take, in seconds; `None` leaves it to the system.
    pub connect_timeout: Setting<Option<u32>>,
    /// How often to try.
    pub connection_attempts: Setting<u32>,
    /// The seconds between keepalives; 0 for none.
    pub server_alive_interval: Setting<u32>,
    /// How many keepalives may stay unanswered.
    pub server_alive_count_max: Setting<u32>,
    /// Whether TCP itself checks the connection.
    pub tcp_keep_alive: Setting<bool>,
    /// IPv4, IPv6 or both.
    pub address_family: Setting<AddressFamily>,
    /// The local address to connect from.
    pub bind_address: Option<Setting<String>>,
    /// The local interface to connect from.
    pub bind_interface: Option<Setting<String>>,
    /// Ciphers.
    pub ciphers: Option<Setting<Algorithms>>,
    /// MACs.
    pub macs: Option<Setting<Algorithms>>,
    /// Key exchange methods.
    pub kex_algorithms: Option<Setting<Algorithms>>,
    /// Host key types.
    pub host_key_algorithms: Option<Setting<Algorithms>>,
    /// Signature types for user keys.
    pub pubkey_accepted_algorithms: Option<Setting<Algorithms>>,
    /// Signature types of certificate authorities.
    pub ca_signature_algorithms: Option<Setting<Algorithms>>,
    /// The smallest RSA key to accept, in bits; `None` leaves it to the library.
    pub required_rsa_size: Option<Setting<u32>>,
    /// Whether to compress.
    pub compression: Setting<bool>,
    /// The order of authentication methods.
    pub preferred_authentications: Option<Setting<Vec<String>>>,
    /// Whether keys are offered.
    pub pubkey_authentication: Setting<bool>,
    /// Whether a password is offered.
    pub password_authentication: Setting<bool>,
    /// Whether questions of the server are answered.
    pub kbd_interactive_authentication: Setting<bool>,
    /// How often a password is asked for.
    pub number_of_password_prompts: Setting<u32>,
    /// Whether nothing may be asked of the user.
    pub batch_mode: Setting<bool>,
}

/// A value that could not be worked out: keyword, source, reason.
pub(super) type Failed = (&'static str, SettingSource, String);

impl Settings {
    pub(super) fn build(found: &Found, tokens: &Tokens<'_>) -> (Self, Vec<Failed>) {
        let mut b = Builder { found, tokens, failed: Vec::new() };
        let settings = Self {
            host_name: b.host_name(),
            user: b.one("User", tokens.local.user.clone(), |word| Some(word.to_owned())),
            port: b.one("Port", 22, values::port),
            identity_files: b.identity_files(),
            certificate_files: b.files("CertificateFile"),
            identities_only: b.one("IdentitiesOnly", false, values::flag),
            identity_agent: b.identity_agent(),
            proxy_jump: b.proxy_jump(),
            proxy_command: b.proxy_command(),
            host_key_alias: b.maybe("HostKeyAlias", |word| Some(word.to_lowercase())),
            user_known_hosts_files: b
                .known_hosts("UserKnownHostsFile", &["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]),
            global_known_hosts_files: b.known_hosts(
                "GlobalKnownHostsFile",
                &["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
            ),
            revoked_host_keys: b.files("RevokedHostKeys").pop(),
            strict_host_key_checking: b.one(
                "StrictHostKeyChecking",
                StrictHostKeyChecking::Ask,
                values::strict,
            ),
            hash_known_hosts: b.one("HashKnownHosts", false, values::flag),
            no_host_authentication_for_localhost: b.one(
                "NoHostAuthenticationForLocalhost",
                false,
                values::flag,
            ),
            connect_timeout: b.one("ConnectTimeout", None, values::time),
            connection_attempts: b.one("ConnectionAttempts", 1, values::number),
            server_alive_interval: b
                .one("ServerAliveInterval", 0, |word| Some(values::time(word)?.unwrap_or(0))),
            server_alive_count_max: b.one("ServerAliveCountMax", 3, values::number),
            tcp_keep_alive: b.one("TCPKeepAlive", true, values::flag),
            address_family: b.one("AddressFamily", AddressFamily::Any, values::family),
            bind_address: b.maybe("BindAddress", |word| Some(word.to_owned())),
            bind_interface: b.maybe("BindInterface", |word| Some(word.to_owned())),
            ciphers: b.maybe("Ciphers", values::algorithms),
            macs: b.maybe("MACs", values::algorithms),
            kex_algorithms: b.maybe("KexAlgorithms", values::algorithms),
            host_key_algorithms: b.maybe("HostKeyAlgorithms", values::algorithms),
            pubkey_accepted_algorithms: b.maybe("PubkeyAcceptedAlgorithms", values::algorithms),
            ca_signature_algorithms: b.maybe("CASignatureAlgorithms", values::algorithms),
            required_rsa_size: b.maybe("RequiredRSASize", values::number),
            compression: b.one("Compression", false, values::flag),
            preferred_authentications: b
                .maybe("PreferredAuthentications", |word| Some(word.split(',').map(str::to_owned).collect())),
            pubkey_authentication: b.one("PubkeyAuthentication", true, values::pubkey),
            password_authentication: b.one("PasswordAuthentication", true, values::flag),
            kbd_interactive_authentication: b.one("KbdInteractiveAuthentication", true, values::flag),
            number_of_password_prompts: b.one("NumberOfPasswordPrompts", 3, values::number),
            batch_mode: b.one("BatchMode", false, values::flag),
        };
        (settings, b.failed)
    }
}

struct Builder<'a> {
    found: &'a Found,
    tokens: &'a Tokens<'a>,
    failed: Vec<Failed>,
}

impl<'a> Builder<'a> {
    fn entries(&self, keyword: &str) -> &'a [Entry] {
        self.found.get(keyword).map_or(&[], Vec::as_slice)
    }

    fn maybe<T>(&self, keyword: &str, read: impl Fn(&str) -> Option<T>) -> Option<Setting<T>> {
        let entry = self.entries(keyword).first()?;
        Some(Setting { value: read(entry.word())?, source: entry.source.clone() })
    }

    fn one<T>(&self, keyword: &str, default: T, read: impl Fn(&str) -> Option<T>) -> Setting<T> {
        self.maybe(keyword, read).unwrap_or(Setting { value: default, source: SettingSource::Default })
    }

    fn host_name(&self) -> Setting<String> {
        let source =
            self.entries("HostName").first().map_or(SettingSource::Default, |entry| entry.source.clone());
        Setting { value: self.tokens.host.to_owned(), source }
    }

    /// The expanded path of a value, or a note of why there is none.
    fn path(&mut self, keyword: &'static str, word: &str, source: &SettingSource) -> Option<PathBuf> {
        match self.tokens.path(word) {
            Ok(path) => Some(path),
            Err(message) => {
                self.failed.push((keyword, source.clone(), message));
                None
            }
        }
    }

    fn files(&mut self, keyword: &'static str) -> Vec<Setting<PathBuf>> {
        let mut files = Vec::new();
        for entry in self.entries(keyword).iter().filter(|entry| !values::is_none(entry.word())) {
            if let Some(value) = self.path(keyword, entry.word(), &entry.source) {
                files.push(Setting { value, source: entry.source.clone() });
            }
        }
        files
    }

    fn identity_files(&mut self) -> Vec<Setting<PathBuf>> {
        if !self.entries("IdentityFile").is_empty() {
            return self.files("IdentityFile");
        }
        let folder = self.tokens.local.home.join(".ssh");
        ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"]
            .iter()
            .map(|name| Setting { value: folder.join(name), source: SettingSource::Default })
            .collect()
    }

    fn known_hosts(&mut self, keyword: &'static str, defaults: &[&str]) -> Setting<Vec<PathBuf>> {
        let Some(entry) = self.entries(keyword).first() else {
            let value = defaults
                .iter()
                .filter_map(|word| self.path(keyword, word, &SettingSource::Default))
                .collect();
            return Setting { value, source: SettingSource::Default };
        };
        let words = entry.words.iter().filter(|word| !values::is_none(word));
        // `ssh -G` prints them expanded.
        let value = match entry.source {
            SettingSource::SshG => words.map(PathBuf::from).collect(),
            SettingSource::File { .. } | SettingSource::Override | SettingSource::Default => {
                words.filter_map(|word| self.path(keyword, word, &entry.source)).collect()
            }
        };
        Setting { value, source: entry.source.clone() }
    }

    fn identity_agent(&mut self) -> Setting<IdentityAgent> {
        let usual = || IdentityAgent::Variable("SSH_AUTH_SOCK".into());
        let Some(entry) = self.entries("IdentityAgent").first() else {
            return Setting { value: usual(), source: SettingSource::Default };
        };
        let word = entry.word();
        let value = match word.strip_prefix('$').filter(|name| !name.starts_with('{')) {
            Some(name) => IdentityAgent::Variable(name.to_owned()),
            None if values::is_none(word) => IdentityAgent::None,
            None if word == "SSH_AUTH_SOCK" => usual(),
            None if entry.source == SettingSource::SshG => IdentityAgent::Socket(word.into()),
            // An agent that cannot be found is no agent: never another one.
            None => self
                .path("IdentityAgent", word, &entry.source)
                .map_or(IdentityAgent::None, IdentityAgent::Socket),
        };
        Setting { value, source: entry.source.clone() }
    }

    fn proxy_jump(&mut self) -> Option<Setting<ProxyJump>> {
        let entry = self.entries("ProxyJump").first()?;
        let route = self
            .tokens
            .percent(values::command(&entry.rest), expand::ROUTE)
            .and_then(|route| route.parse().map_err(|error: crate::jump::JumpError| error.to_string()));
        match route {
            Ok(value) => Some(Setting { value, source: entry.source.clone() }),
            Err(message) => {
                self.failed.push(("ProxyJump", entry.source.clone(), message));
                None
            }
        }
    }

    fn proxy_command(&mut self) -> Option<Setting<String>> {
        let entry = self.entries("ProxyCommand").first()?;
        let command = values::command(&entry.rest);
        if values::is_none(command) {
            return None;
        }
        match self.tokens.percent(command, expand::ROUTE) {
            Ok(value) => Some(Setting { value, source: entry.source.clone() }),
            Err(message) => {
                self.failed.push(("ProxyCommand", entry.source.clone(), message));
                None
            }
        }
    }
}
