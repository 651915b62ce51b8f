//! Each setting of a host, where it came from, and what became of it.

use agent_runner_inventory::ssh_config::{Resolved, SettingSource};
use agent_runner_inventory::{Inventory, ResolvedHost};
use serde::Serialize;

use super::{ConnectionError, Connections, Given};

/// One setting of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The keyword, as ssh_config(5) spells it.
    pub keyword: String,
    /// The value, as it could stand there.
    pub value: String,
    /// Where it came from.
    pub source: String,
    /// What became of it.
    pub fate: Fate,
    /// Why, where it is not honoured.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub why: &'static str,
    /// Whether nobody set it.
    pub is_default: bool,
}

/// What became of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The connection follows it.
    Honoured,
    /// The connection follows what `ssh -G` said.
    AskedOfSsh,
    /// The connection does not follow it.
    NotFollowed,
    /// It means nothing for an unattended connection.
    NotApplicable,
}

impl Fate {
    /// Returns the words people see.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Honoured => "honoured",
            Fate::AskedOfSsh => "asked of ssh",
            Fate::NotFollowed => "not followed",
            Fate::NotApplicable => "not applicable",
        }
    }
}

/// Keys of the inventory and the keyword each stands for.
const KEYS: [(&str, &str); 9] = [
    ("address", "HostName"),
    ("user", "User"),
    ("port", "Port"),
    ("identity_file", "IdentityFile"),
    ("identities_only", "IdentitiesOnly"),
    ("proxy_jump", "ProxyJump"),
    ("host_key_alias", "HostKeyAlias"),
    ("known_hosts", "UserKnownHostsFile"),
    ("connect_timeout", "ConnectTimeout"),
];

/// Returns OpenSSH's keyword for a key of the inventory; `None` for what only an inventory knows.
pub fn keyword(key: &str) -> Option<&'static str> {
    KEYS.iter().find(|(ours, _)| *ours == key).map(|(_, keyword)| *keyword)
}

impl Connections {
    /// Returns every setting of a host in the order of the documentation.
    ///
    /// # Errors
    /// As [`settings`](Self::settings).
    pub fn explain(
        &self,
        inventory: &Inventory,
        host: &ResolvedHost,
    ) -> Result<Vec<Explained>, ConnectionError> {
        // Whatever keeps a connection from being made is an error here as well.
        self.settings(inventory, host)?;
        let found = self.resolve(host.name.as_str(), &self.overrides(host))?;
        Ok(explain(&found, host, &self.given))
    }
}

fn explain(found: &Resolved, host: &ResolvedHost, given: &Given) -> Vec<Explained> {
    let mut rows: Vec<Explained> = found.settings.shown().into_iter().map(of_openssh).collect();
    for set in host.shown() {
        let Some(keyword) = keyword(&set.key) else { continue };
        replace(&mut rows, keyword, (set.value, set.source.to_string()));
    }
    let said = || "command line".to_owned();
    if let Some(user) = &given.user {
        replace(&mut rows, "User", (user.clone(), said()));
    }
    if let Some(seconds) = given.connect_timeout {
        replace(&mut rows, "ConnectTimeout", (seconds.to_string(), said()));
    }
    rows.extend(found.not_applicable.iter().map(|set| Explained {
        keyword: set.keyword.clone(),
        value: set.value.clone(),
        source: set.source.to_string(),
        fate: Fate::NotApplicable,
        why: "",
        is_default: false,
    }));
    rows.extend(found.unsupported.iter().filter(|set| !set.ssh_can_tell()).map(|set| Explained {
        keyword: set.keyword.clone(),
        value: String::new(),
        source: format!("{}:{}", set.file.display(), set.line),
        fate: Fate::NotFollowed,
        why: "not offered",
        is_default: false,
    }));
    rows
}

fn of_openssh(set: agent_runner_inventory::ssh_config::ShownSetting) -> Explained {
    let is_default = set.source == SettingSource::Default;
    let why = if is_default { "" } else { not_followed(set.keyword, &set.value) };
    let fate = match set.source {
        _ if !why.is_empty() => Fate::NotFollowed,
        SettingSource::SshG => Fate::AskedOfSsh,
        SettingSource::File { .. } | SettingSource::Override | SettingSource::Default => Fate::Honoured,
    };
    Explained {
        keyword: set.keyword.to_owned(),
        value: set.value,
        source: set.source.to_string(),
        fate,
        why,
        is_default,
    }
}

/// Returns why a connection of ours does not follow a setting; empty where it does.
fn not_followed(keyword: &str, value: &str) -> &'static str {
    match (keyword, value) {
        ("NoHostAuthenticationForLocalhost", "yes") => "every host's key is checked",
        ("TCPKeepAlive", "no") => "the connection asks within SSH whether the host is alive",
        ("BindInterface", _) => "the system chooses the interface; BindAddress is followed",
        ("PubkeyAcceptedAlgorithms", _) => "a key is offered with the strongest signature the host takes",
        ("CASignatureAlgorithms" | "RequiredRSASize", _) => "the library's own rules hold",
        ("Compression", "yes") => "uploads are compressed where that helps, the connection is not",
        ("NumberOfPasswordPrompts", _) => "a password is asked for once per run",
        _ => "",
    }
}

fn replace(rows: &mut Vec<Explained>, keyword: &str, (value, source): (String, String)) {
    let place = rows.iter().position(|row| row.keyword == keyword).unwrap_or(rows.len());
    rows.retain(|row| row.keyword != keyword);
    let row = Explained {
        keyword: keyword.to_owned(),
        value,
        source,
        fate: Fate::Honoured,
        why: "",
        is_default: false,
    };
    rows.insert(place.min(rows.len()), row);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use agent_runner_inventory::ssh_config::Local;

    use super::*;

    #[test]
    fn the_command_line_beats_the_inventory_beats_openssh_and_each_is_named() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".ssh")).unwrap();
        let config = "Host pi*\n  User conf\n  Port 2022\n  Compression yes\n  ForwardAgent yes\n";
        let path = home.path().join(".ssh/config");
        fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, config.as_bytes()))
            .unwrap();
        let mut local = Local::new(home.path(), "me");
        local.system_dir = home.path().join("none");
        let given = Given { user: Some("cli".into()), connect_timeout: None };
        let connections = Connections::load(local, given).unwrap();
        let text = "[fleet]\nname = \"f\"\n[hosts.pi1]\naddress = \"10.0.0.1\"\nuser = \"inv\"\nconnect_timeout = 4\n";
        let inventory = Inventory::parse(text, "fleet.toml".as_ref()).unwrap();
        let host = inventory.host("pi1").unwrap();
        let rows = connections.explain(&inventory, &host).unwrap();
        let of = |keyword: &str| {
            let row = rows.iter().find(|row| row.keyword == keyword).unwrap();
            (row.value.as_str(), row.source.as_str(), row.fate)
        };
        let line = |number: u32| format!("{}:{number}", path.display());
        assert_eq!(of("User"), ("cli", "command line", Fate::Honoured));
        assert_eq!(of("HostName"), ("10.0.0.1", "hosts.\"pi1\" (fleet.toml:4)", Fate::Honoured));
        assert_eq!(of("ConnectTimeout"), ("4", "hosts.\"pi1\" (fleet.toml:6)", Fate::Honoured));
        assert_eq!(of("Port"), ("2022", line(3).as_str(), Fate::Honoured));
        assert_eq!(of("Compression"), ("yes", line(4).as_str(), Fate::NotFollowed));
        assert_eq!(of("ForwardAgent"), ("yes", line(5).as_str(), Fate::NotApplicable));
        assert_eq!(of("BatchMode"), ("no", "default", Fate::Honoured));
        let settings = connections.settings(&inventory, &host).unwrap();
        assert_eq!((settings.user.as_str(), settings.port), ("cli", 2022));
    }
}
