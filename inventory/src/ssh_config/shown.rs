//! The settings of a host as a list for people: keyword, value in OpenSSH's spelling, source.

use std::path::PathBuf;

use super::settings::{Setting, SettingSource, Settings};
use super::values::{AddressFamily, AlgorithmChange, Algorithms, IdentityAgent, StrictHostKeyChecking};
use crate::jump::ProxyJump;

/// One setting of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownSetting {
    /// The keyword, as the manual spells it.
    pub keyword: &'static str,
    /// The value, as it could stand in a configuration.
    pub value: String,
    /// Where it came from.
    pub source: SettingSource,
}

impl Settings {
    /// Every setting that has a value, defaults included, in the order of the documentation.
    pub fn shown(&self) -> Vec<ShownSetting> {
        let mut rows = Rows(Vec::new());
        rows.one("HostName", &self.host_name);
        rows.one("User", &self.user);
        rows.one("Port", &self.port);
        rows.many("IdentityFile", &self.identity_files);
        rows.many("CertificateFile", &self.certificate_files);
        rows.one("IdentitiesOnly", &self.identities_only);
        rows.one("IdentityAgent", &self.identity_agent);
        rows.many("ProxyJump", &self.proxy_jump);
        rows.many("ProxyCommand", &self.proxy_command);
        rows.many("HostKeyAlias", &self.host_key_alias);
        rows.one("UserKnownHostsFile", &self.user_known_hosts_files);
        rows.one("GlobalKnownHostsFile", &self.global_known_hosts_files);
        rows.many("RevokedHostKeys", &self.revoked_host_keys);
        rows.one("StrictHostKeyChecking", &self.strict_host_key_checking);
        rows.one("HashKnownHosts", &self.hash_known_hosts);
        rows.one("NoHostAuthenticationForLocalhost", &self.no_host_authentication_for_localhost);
        rows.one("ConnectTimeout", &self.connect_timeout);
        rows.one("ConnectionAttempts", &self.connection_attempts);
        rows.one("ServerAliveInterval", &self.server_alive_interval);
        rows.one("ServerAliveCountMax", &self.server_alive_count_max);
        rows.one("TCPKeepAlive", &self.tcp_keep_alive);
        rows.one("AddressFamily", &self.address_family);
        rows.many("BindAddress", &self.bind_address);
        rows.many("BindInterface", &self.bind_interface);
        rows.many("Ciphers", &self.ciphers);
        rows.many("MACs", &self.macs);
        rows.many("KexAlgorithms", &self.kex_algorithms);
        rows.many("HostKeyAlgorithms", &self.host_key_algorithms);
        rows.many("PubkeyAcceptedAlgorithms", &self.pubkey_accepted_algorithms);
        rows.many("CASignatureAlgorithms", &self.ca_signature_algorithms);
        rows.many("RequiredRSASize", &self.required_rsa_size);
        rows.one("Compression", &self.compression);
        rows.many("PreferredAuthentications", &self.preferred_authentications);
        rows.one("PubkeyAuthentication", &self.pubkey_authentication);
        rows.one("PasswordAuthentication", &self.password_authentication);
        rows.one("KbdInteractiveAuthentication", &self.kbd_interactive_authentication);
        rows.one("NumberOfPasswordPrompts", &self.number_of_password_prompts);
        rows.one("BatchMode", &self.batch_mode);
        rows.0
    }
}

struct Rows(Vec<ShownSetting>);

impl Rows {
    fn one<T: Spelled>(&mut self, keyword: &'static str, setting: &Setting<T>) {
        let (value, source) = (setting.value.spelled(), setting.source.clone());
        self.0.push(ShownSetting { keyword, value, source });
    }

    fn many<'s, T: Spelled + 's>(
        &mut self,
        keyword: &'static str,
        settings: impl IntoIterator<Item = &'s Setting<T>>,
    ) {
        settings.into_iter().for_each(|setting| self.one(keyword, setting));
    }
}

/// A value in OpenSSH's spelling.
trait Spelled {
    fn spelled(&self) -> String;
}

impl Spelled for String {
    fn spelled(&self) -> String {
        self.clone()
    }
}

impl Spelled for bool {
    fn spelled(&self) -> String {
        if *self { "yes".into() } else { "no".into() }
    }
}

impl Spelled for u16 {
    fn spelled(&self) -> String {
        self.to_string()
    }
}

impl Spelled for u32 {
    fn spelled(&self) -> String {
        self.to_string()
    }
}

impl Spelled for Option<u32> {
    fn spelled(&self) -> String {
        self.map_or_else(|| "none".into(), |seconds| seconds.to_string())
    }
}

impl Spelled for PathBuf {
    fn spelled(&self) -> String {
        self.display().to_string()
    }
}

impl Spelled for Vec<PathBuf> {
    fn spelled(&self) -> String {
        let paths: Vec<String> = self.iter().map(Spelled::spelled).collect();
        if paths.is_empty() { "none".into() } else { paths.join(" ") }
    }
}

impl Spelled for Vec<String> {
    fn spelled(&self) -> String {
        self.join(",")
    }
}

impl Spelled for ProxyJump {
    fn spelled(&self) -> String {
        self.to_string()
    }
}

impl Spelled for Algorithms {
    fn spelled(&self) -> String {
        let sign = match self.change {
            AlgorithmChange::Replace => "",
            AlgorithmChange::Append => "+",
            AlgorithmChange::Remove => "-",
            AlgorithmChange::Prepend => "^",
        };
        format!("{sign}{}", self.names.join(","))
    }
}

impl Spelled for IdentityAgent {
    fn spelled(&self) -> String {
        match self {
            Self::None => "none".into(),
            Self::Variable(name) => format!("${name}"),
            Self::Socket(path) => path.spelled(),
        }
    }
}

impl Spelled for StrictHostKeyChecking {
    fn spelled(&self) -> String {
        match self {
            Self::Yes => "yes".into(),
            Self::No => "no".into(),
            Self::Ask => "ask".into(),
            Self::AcceptNew => "accept-new".into(),
        }
    }
}

impl Spelled for AddressFamily {
    fn spelled(&self) -> String {
        match self {
            Self::Any => "any".into(),
            Self::Inet => "inet".into(),
            Self::Inet6 => "inet6".into(),
        }
    }
}
