//! Every keyword of OpenSSH's client, and what becomes of it.

/// What becomes of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It is part of the settings.
    Honoured,
    /// It opens a block, takes in a file or changes how the file is read.
    Structure,
    /// It is about terminals, forwarding, logging or sharing of `ssh` processes: nothing for an unattended connection.
    Irrelevant,
    /// Only `ssh` can tell what it leads to: it asks DNS or runs something.
    AskSsh,
    /// It asks for something we do not offer.
    NotOffered,
    /// OpenSSH itself ignores it today.
    Obsolete,
}

/// How the value of an honoured keyword is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Flag,
    Pubkey,
    Number,
    Port,
    Time,
    Command,
    Jump,
    Strict,
    Family,
    Algorithms,
    Path,
    Paths,
    Agent,
}

/// A keyword with its spelling in the manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keyword {
    pub(super) name: &'static str,
    pub(super) treatment: Treatment,
    /// `None` for what is not honoured: any value is taken.
    pub(super) form: Option<Form>,
}

/// Every keyword with its treatment, in the order of the documentation.
pub fn keywords() -> impl Iterator<Item = (&'static str, Treatment)> {
    all().map(|keyword| (keyword.name, keyword.treatment))
}

/// Finds a keyword, in any case, by its name or an older one.
pub(super) fn find(written: &str) -> Option<Keyword> {
    let alias = ALIASES.iter().find(|(old, _)| old.eq_ignore_ascii_case(written));
    let name = alias.map_or(written, |(_, name)| *name);
    all().find(|keyword| keyword.name.eq_ignore_ascii_case(name))
}

fn all() -> impl Iterator<Item = Keyword> {
    let honoured = HONOURED.iter().map(|(name, form)| Keyword {
        name,
        treatment: Treatment::Honoured,
        form: Some(*form),
    });
    let others = [
        (Treatment::Structure, STRUCTURE),
        (Treatment::AskSsh, ASK_SSH),
        (Treatment::NotOffered, NOT_OFFERED),
        (Treatment::Irrelevant, IRRELEVANT),
        (Treatment::Obsolete, OBSOLETE),
    ];
    honoured.chain(
        others.into_iter().flat_map(|(treatment, names)| {
            names.iter().map(move |name| Keyword { name, treatment, form: None })
        }),
    )
}

const HONOURED: &[(&str, Form)] = &[
    ("HostName", Form::Text),
    ("User", Form::Text),
    ("Port", Form::Port),
    ("IdentityFile", Form::Path),
    ("CertificateFile", Form::Path),
    ("IdentitiesOnly", Form::Flag),
    ("IdentityAgent", Form::Agent),
    ("ProxyJump", Form::Jump),
    ("ProxyCommand", Form::Command),
    ("HostKeyAlias", Form::Text),
    ("UserKnownHostsFile", Form::Paths),
    ("GlobalKnownHostsFile", Form::Paths),
    ("RevokedHostKeys", Form::Path),
    ("StrictHostKeyChecking", Form::Strict),
    ("HashKnownHosts", Form::Flag),
    ("NoHostAuthenticationForLocalhost", Form::Flag),
    ("ConnectTimeout", Form::Time),
    ("ConnectionAttempts", Form::Number),
    ("ServerAliveInterval", Form::Time),
    ("ServerAliveCountMax", Form::Number),
    ("TCPKeepAlive", Form::Flag),
    ("AddressFamily", Form::Family),
    ("BindAddress", Form::Text),
    ("BindInterface", Form::Text),
    ("Ciphers", Form::Algorithms),
    ("MACs", Form::Algorithms),
    ("KexAlgorithms", Form::Algorithms),
    ("HostKeyAlgorithms", Form::Algorithms),
    ("PubkeyAcceptedAlgorithms", Form::Algorithms),
    ("CASignatureAlgorithms", Form::Algorithms),
    ("RequiredRSASize", Form::Number),
    ("Compression", Form::Flag),
    ("PreferredAuthentications", Form::Text),
    ("PubkeyAuthentication", Form::Pubkey),
    ("PasswordAuthentication", Form::Flag),
    ("KbdInteractiveAuthentication", Form::Flag),
    ("NumberOfPasswordPrompts", Form::Number),
    ("BatchMode", Form::Flag),
];

const STRUCTURE: &[&str] = &["Host", "Match", "Include", "IgnoreUnknown"];

const ASK_SSH: &[&str] = &["CanonicalizeHostname", "CanonicalizePermittedCNAMEs", "Tag", "RefuseConnection"];

const NOT_OFFERED: &[&str] = &[
    "GSSAPIAuthentication",
    "HostbasedAuthentication",
    "KnownHostsCommand",
    "PKCS11Provider",
    "ProxyUseFdpass",
    "VerifyHostKeyDNS",
];

const IRRELEVANT: &[&str] = &[
    "AddKeysToAgent",
    "CanonicalDomains",
    "CanonicalizeFallbackLocal",
    "CanonicalizeMaxDots",
    "ChannelTimeout",
    "CheckHostIP",
    "ClearAllForwardings",
    "ControlMaster",
    "ControlPath",
    "ControlPersist",
    "DynamicForward",
    "EnableEscapeCommandline",
    "EnableSSHKeysign",
    "EscapeChar",
    "ExitOnForwardFailure",
    "FingerprintHash",
    "ForkAfterAuthentication",
    "ForwardAgent",
    "ForwardX11",
    "ForwardX11Timeout",
    "ForwardX11Trusted",
    "GatewayPorts",
    "GSSAPIClientIdentity",
    "GSSAPIDelegateCredentials",
    "GSSAPIKexAlgorithms",
    "GSSAPIKeyExchange",
    "GSSAPIRenewalForcesRekey",
    "GSSAPIServerIdentity",
    "GSSAPITrustDns",
    "HostbasedAcceptedAlgorithms",
    "IPQoS",
    "KbdInteractiveDevices",
    "LocalCommand",
    "LocalForward",
    "LogLevel",
    "LogVerbose",
    "ObscureKeystrokeTiming",
    "PermitLocalCommand",
    "PermitRemoteOpen",
    "RekeyLimit",
    "RemoteCommand",
    "RemoteForward",
    "RequestTTY",
    "SecurityKeyProvider",
    "SendEnv",
    "SessionType",
    "SetEnv",
    "StdinNull",
    "StreamLocalBindMask",
    "StreamLocalBindUnlink",
    "SyslogFacility",
    "Tunnel",
    "TunnelDevice",
    "UpdateHostKeys",
    "VersionAddendum",
    "VisualHostKey",
    "WarnWeakCrypto",
    "XAuthLocation",
];

const OBSOLETE: &[&str] = &[
    "AFSTokenPassing",
    "Cipher",
    "CompressionLevel",
    "FallBackToRsh",
    "GlobalKnownHostsFile2",
    "KerberosAuthentication",
    "KerberosTGTPassing",
    "Protocol",
    "RhostsAuthentication",
    "RhostsRSAAuthentication",
    "RSAAuthentication",
    "UsePrivilegedPort",
    "UserKnownHostsFile2",
    "UseRoaming",
    "UseRsh",
];

/// Older names that OpenSSH still takes.
const ALIASES: &[(&str, &str)] = &[
    ("ChallengeResponseAuthentication", "KbdInteractiveAuthentication"),
    ("DSAAuthentication", "PubkeyAuthentication"),
    ("HostbasedKeyTypes", "HostbasedAcceptedAlgorithms"),
    ("IdentityFile2", "IdentityFile"),
    ("KeepAlive", "TCPKeepAlive"),
    ("ProtocolKeepAlives", "ServerAliveInterval"),
    ("PubkeyAcceptedKeyTypes", "PubkeyAcceptedAlgorithms"),
    ("SetupTimeOut", "ServerAliveInterval"),
    ("SKeyAuthentication", "KbdInteractiveAuthentication"),
    ("SmartcardDevice", "PKCS11Provider"),
    ("TISAuthentication", "KbdInteractiveAuthentication"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_keyword_is_classified_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, _) in keywords() {
            assert!(seen.insert(name.to_ascii_lowercase()), "{name}");
        }
        for (old, name) in ALIASES {
            assert!(!seen.contains(&old.to_ascii_lowercase()), "{old}");
            assert_eq!(find(old).map(|keyword| keyword.name), Some(*name));
        }
    }
}
