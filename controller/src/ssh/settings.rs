//! Everything about how to reach one host, as values. Who decides them is the inventory's business.

use std::path::PathBuf;
use std::time::Duration;

/// How to reach one host: address, route, trust and credentials.
///
/// Two equal values (apart from [`name`](Self::name)) share one connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The name shown to people and put into errors.
    pub name: String,
    /// The host name or address to connect to.
    pub address: String,
    /// The TCP port.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// Private keys to offer, in order.
    pub identities: Vec<IdentityFile>,
    /// Offer only the keys of `identities`, even if the agent holds more.
    pub identities_only: bool,
    /// Which agent to ask.
    pub identity_agent: IdentityAgent,
    /// User certificates, beside `<identity>-cert.pub`.
    pub certificates: Vec<PathBuf>,
    /// Hosts to go through, the one nearest to us first.
    pub jumps: Vec<Settings>,
    /// A command whose stdin and stdout are the connection; used instead of TCP and of `jumps`.
    pub proxy_command: Option<String>,
    /// The name under which the host's key is recorded, if not its address.
    pub host_key_alias: Option<String>,
    /// The user's known_hosts files; the first is written to.
    pub user_known_hosts: Vec<PathBuf>,
    /// The machine's known_hosts files; never written to.
    pub global_known_hosts: Vec<PathBuf>,
    /// A file of keys never to accept.
    pub revoked_host_keys: Option<PathBuf>,
    /// What to do with a host whose key is not recorded.
    pub strictness: Strictness,
    /// Deadline of each of: TCP connect, first sign of SSH, key exchange, one answer to an authentication request.
    pub connect_timeout: Duration,
    /// Silence after which the host is asked whether it is alive; `None` never asks.
    pub keepalive_interval: Option<Duration>,
    /// Unanswered questions after which the connection is dead.
    pub keepalive_count: usize,
    /// Restrictions on algorithms.
    pub algorithms: AlgorithmFilters,
    /// Which kinds of address may be used.
    pub address_family: AddressFamily,
    /// The address or name on this machine that connections start from.
    pub bind_address: Option<String>,
    /// How often a TCP connection is tried, a second apart; at least once.
    pub connection_attempts: u32,
    /// Ways to log in, in the order they are tried. Questions and passwords also need somebody to ask.
    pub methods: Vec<Method>,
    /// Ask nobody for this host, not even for a passphrase (`BatchMode`).
    pub asks_nobody: bool,
    /// How the host's name is written when its key is recorded.
    pub record_names: NameForm,
}

impl Settings {
    /// Returns the settings of a host about which nothing but its address and user is known.
    ///
    /// No key files and no known_hosts files are named: those need the home folder, which is read at the edge.
    pub fn new(address: impl Into<String>, user: impl Into<String>) -> Self {
        let address = address.into();
        Self {
            name: address.clone(),
            address,
            port: 22,
            user: user.into(),
            identities: Vec::new(),
            identities_only: false,
            identity_agent: IdentityAgent::Default,
            certificates: Vec::new(),
            jumps: Vec::new(),
            proxy_command: None,
            host_key_alias: None,
            user_known_hosts: Vec::new(),
            global_known_hosts: Vec::new(),
            revoked_host_keys: None,
            strictness: Strictness::Strict,
            connect_timeout: Duration::from_secs(10),
            // Dead peers are found within a minute: 15 s of silence and three unanswered questions.
            keepalive_interval: Some(Duration::from_secs(15)),
            keepalive_count: 3,
            algorithms: AlgorithmFilters::default(),
            address_family: AddressFamily::Any,
            bind_address: None,
            connection_attempts: 1,
            methods: Method::ALL.to_vec(),
            asks_nobody: false,
            record_names: NameForm::Plain,
        }
    }

    /// Returns all known_hosts files, the one written to first.
    pub fn known_hosts_files(&self) -> Vec<PathBuf> {
        self.user_known_hosts.iter().chain(&self.global_known_hosts).cloned().collect()
    }

    /// Returns `address:port`, with brackets around an IPv6 address.
    pub fn endpoint(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }
}

/// A private key file to offer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdentityFile {
    /// Where the private key is.
    pub path: PathBuf,
    /// Whether somebody asked for this file.
    pub origin: IdentityOrigin,
}

impl IdentityFile {
    /// Returns a key file that somebody named: a problem with it is reported.
    pub fn configured(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), origin: IdentityOrigin::Configured }
    }

    /// Returns one of the files tried when nobody named any: it may be missing.
    pub fn default_name(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), origin: IdentityOrigin::DefaultName }
    }
}

/// Where a key file's name came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentityOrigin {
    /// From a configuration or the command line.
    Configured,
    /// From the list of usual names, such as `~/.ssh/id_ed25519`.
    DefaultName,
}

/// Which SSH agent to ask for keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum IdentityAgent {
    /// The one the client was given (`SSH_AUTH_SOCK`).
    Default,
    /// None.
    None,
    /// The one listening at this path.
    Socket(PathBuf),
}

/// What to do with a host whose key is not recorded.
///
/// A key that contradicts the record is refused whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strictness {
    /// Refuse it.
    Strict,
    /// Record it and go on.
    AcceptNew,
}

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// By a key or a certificate.
    PublicKey,
    /// By answers to the host's questions.
    KeyboardInteractive,
    /// By password.
    Password,
}

impl Method {
    /// Every way, in the order in which they are tried where nobody says otherwise.
    pub const ALL: [Method; 3] = [Method::PublicKey, Method::KeyboardInteractive, Method::Password];

    /// Returns the way of this name in `PreferredAuthentications`; `None` for those that are not offered.
    pub fn of_name(name: &str) -> Option<Method> {
        match name {
            "publickey" => Some(Method::PublicKey),
            "keyboard-interactive" => Some(Method::KeyboardInteractive),
            "password" => Some(Method::Password),
            _ => None,
        }
    }
}

/// How a host's name is written into known_hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameForm {
    /// As it is.
    Plain,
    /// As a salted hash, which does not give away which hosts there are.
    Hashed,
}

/// Restrictions on algorithms, in the syntax of OpenSSH: a list replaces ours, `+list` appends,
/// `-list` removes, `^list` puts first; names may hold `*` and `?`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AlgorithmFilters {
    /// `Ciphers`.
    pub ciphers: Option<String>,
    /// `MACs`.
    pub macs: Option<String>,
    /// `KexAlgorithms`.
    pub kex: Option<String>,
    /// `HostKeyAlgorithms`.
    pub host_keys: Option<String>,
}

/// Which kinds of address may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    /// Both.
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}
