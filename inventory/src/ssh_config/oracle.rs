//! The resolver held against the real thing: generated configurations, `ssh -G`, the same settings.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::{AlgorithmChange, Algorithms, Local, Overrides, Setting, Settings, SshConfig};
use crate::ProxyJump;

/// What `ssh` on this machine takes for the local user; `None`, said aloud, if there is no `ssh`.
fn local() -> Option<Local> {
    static LOCAL: OnceLock<Option<Local>> = OnceLock::new();
    LOCAL.get_or_init(find_local).clone()
}

fn find_local() -> Option<Local> {
    let Some(output) = ssh_g(&["-F", "/dev/null", "host"]) else {
        crate::skipped::skip("there is no `ssh` on PATH to hold the resolver against");
        return None;
    };
    let value = |key: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("ssh -G prints {key}")).to_owned()
    };
    let known_hosts = value("userknownhostsfile");
    let home = known_hosts.split("/.ssh/known_hosts").next().unwrap();
    let mut local = Local::new(home, value("user"));
    let host_name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    local.host_name = host_name.trim().to_owned();
    local.uid = tempfile::tempfile().unwrap().metadata().unwrap().uid();
    Some(local)
}

/// Runs `ssh -G`; `None` if there is no ssh.
pub(super) fn ssh_g(args: &[&str]) -> Option<String> {
    let output = match Command::new("ssh").arg("-G").args(args).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("cannot run ssh: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ssh -G {args:?}: {said}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The values alone, without what `ssh -G` cannot tell us or says in other words.
fn comparable(settings: &Settings, ours: &Settings) -> String {
    let mut settings = settings.clone();
    // ssh prints the list that a change leads to, and its defaults where nothing is set.
    let replaced = |list: &Option<Setting<Algorithms>>| {
        list.as_ref().is_some_and(|list| list.value.change == AlgorithmChange::Replace)
    };
    let lists = [
        (&mut settings.ciphers, &ours.ciphers),
        (&mut settings.macs, &ours.macs),
        (&mut settings.kex_algorithms, &ours.kex_algorithms),
        (&mut settings.host_key_algorithms, &ours.host_key_algorithms),
        (&mut settings.pubkey_accepted_algorithms, &ours.pubkey_accepted_algorithms),
        (&mut settings.ca_signature_algorithms, &ours.ca_signature_algorithms),
    ];
    for (list, ours) in lists {
        if !replaced(ours) {
            *list = None;
        }
    }
    if ours.required_rsa_size.is_none() {
        settings.required_rsa_size = None;
    }
    settings.proxy_jump = settings.proxy_jump.filter(|jump| jump.value != ProxyJump::Direct);
    let sources = regex::Regex::new(r"source: (Default|SshG|Override|File \{[^}]*\}),").unwrap();
    let text = sources.replace_all(&format!("{settings:#?}"), "").into_owned();
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ").replace(" }", "}\n")
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path
}

/// A configuration: the main file and one it may include.
#[derive(Debug, Clone)]
struct Case {
    main: String,
    included: String,
    alias: &'static str,
    overrides: Overrides,
}

fn compare(case: &Case) {
    let Some(local) = local() else { return };
    let folder = tempfile::tempdir().unwrap();
    let included = write(folder.path(), "included", &case.included);
    let main = write(folder.path(), "main", &case.main.replace("INCLUDED", included.to_str().unwrap()));
    let mut args: Vec<String> = vec!["-F".into(), main.to_str().unwrap().into()];
    if let Some(user) = &case.overrides.user {
        args.extend(["-l".into(), user.clone()]);
    }
    if let Some(port) = case.overrides.port {
        args.extend(["-p".into(), port.to_string()]);
    }
    if let Some(host_name) = &case.overrides.host_name {
        args.extend(["-o".into(), format!("HostName={host_name}")]);
    }
    args.push(case.alias.into());
    let Some(output) = ssh_g(&args.iter().map(String::as_str).collect::<Vec<_>>()) else { return };
    let theirs = SshConfig::from_ssh_g(&output, case.alias, &local).unwrap();
    let ours = SshConfig::load(&[main], &local).unwrap().resolve(case.alias, &local, &case.overrides);
    assert_eq!(ours.unsupported, [], "{case:#?}");
    assert_eq!(
        comparable(&ours.settings, &ours.settings),
        comparable(&theirs.settings, &ours.settings),
        "{}\n--- included\n{}",
        case.main,
        case.included
    );
}

fn alias() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "web1", "WEB1", "web1.example.org", "10.0.0.1", "FE80::1", "db-2"])
}

fn host_patterns() -> impl Strategy<Value = String> {
    let one = prop::sample::select(vec![
        "*",
        "web*",
        "!web1",
        "a",
        "?",
        "*.example.org",
        "10.*",
        "WEB1",
        "!*.org",
        "db-?",
        "real",
        "real.host",
        "fe80*",
        "\"web1\"",
        "!\"a\"",
    ]);
    prop::collection::vec(one, 1..4).prop_map(|words| words.join(" "))
}

fn criteria() -> impl Strategy<Value = String> {
    let lists = prop::sample::select(vec![
        "*",
        "web*,!web1",
        "a",
        "real*",
        "REAL.host",
        "10.*,db-2",
        "!a,*",
        "*.example.org",
    ]);
    let users = prop::sample::select(vec!["*", "pi", "root,pi", "!pi,*", "Pi", "p?"]);
    let one = prop_oneof![
        (prop::sample::select(vec!["host", "originalhost", "!host", "!originalhost", "Host"]), lists)
            .prop_map(|(name, list)| format!("{name} {list}")),
        (prop::sample::select(vec!["user", "!user", "localuser", "!localuser"]), users.clone())
            .prop_map(|(name, list)| format!("{name} {list}")),
        users.prop_map(|list| format!("user=\"{list}\"")),
        prop::sample::select(vec!["final", "!final", "canonical", "!canonical"]).prop_map(str::to_owned),
    ];
    prop_oneof![
        4 => prop::collection::vec(one, 1..4).prop_map(|all| all.join(" ")),
        1 => prop::sample::select(vec!["all", "!all", "final all", "canonical all", "all # always"]).prop_map(str::to_owned),
    ]
}

fn setting() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "HostName real.host",
        "HostName %h.example.org",
        "hostname Real",
        "HostName 10.9.8.7",
        "HostName x%%y",
        "HostName FE80::2",
        "User pi",
        "user=root",
        "USER = \"deploy\"",
        "Port 2222",
        "port=22",
        "Port \"2200\"",
        "IdentityFile ~/.ssh/one",
        "IdentityFile ~/.ssh/%h-%n-%r",
        "IdentityFile \"/keys/with space\"",
        "IdentityFile /keys/\\\"q\\\"",
        "identityfile none",
        "IdentityFile /keys/%u/%d/%i/%k/%p/%l/%L",
        "CertificateFile ~/.ssh/%n-cert.pub",
        "CertificateFile /c",
        "IdentitiesOnly yes",
        "IdentitiesOnly FALSE",
        "IdentityAgent none",
        "IdentityAgent ~/agent-%n",
        "IdentityAgent SSH_AUTH_SOCK",
        "IdentityAgent $OTHER",
        "ProxyJump gate",
        "ProxyJump me@gate:2222,second",
        "ProxyJump none",
        "ProxyJump ssh://me@gate:23",
        "ProxyJump 10.1.1.1",
        "ProxyJump [::1]:22",
        "ProxyCommand nc %h %p",
        "ProxyCommand none",
        "ProxyCommand = sh -c 'a  \"b\"' # kept",
        "HostKeyAlias Some.Alias",
        "HostKeyAlias %h",
        "UserKnownHostsFile ~/.ssh/kh_%h /dev/null",
        "UserKnownHostsFile none",
        "GlobalKnownHostsFile /etc/kh",
        "StrictHostKeyChecking accept-new",
        "StrictHostKeyChecking off",
        "StrictHostKeyChecking Yes",
        "StrictHostKeyChecking ask",
        "HashKnownHosts yes",
        "NoHostAuthenticationForLocalhost yes",
        "ConnectTimeout 10",
        "ConnectTimeout 1m30s",
        "ConnectTimeout none",
        "ConnectTimeout 0",
        "ConnectionAttempts 3",
        "ServerAliveInterval 15",
        "ServerAliveInterval 1m",
        "ServerAliveCountMax 5",
        "ProtocolKeepAlives 7",
        "SetupTimeOut 9",
        "TCPKeepAlive no",
        "KeepAlive yes",
        "AddressFamily inet",
        "AddressFamily INET6",
        "BindAddress 127.0.0.1",
        "BindInterface lo",
        "Ciphers aes256-ctr,aes128-ctr",
        "Ciphers +aes128-cbc",
        "Ciphers -aes*",
        "MACs hmac-sha2-256",
        "KexAlgorithms ^curve25519-sha256",
        "KexAlgorithms curve25519-sha256",
        "HostKeyAlgorithms ssh-ed25519,rsa-sha2-256",
        "PubkeyAcceptedKeyTypes ssh-ed25519",
        "CASignatureAlgorithms ssh-ed25519",
        "RequiredRSASize 2048",
        "Compression yes",
        "PreferredAuthentications publickey,password",
        "PubkeyAuthentication no",
        "PubkeyAuthentication host-bound",
        "PasswordAuthentication no",
        "ChallengeResponseAuthentication no",
        "NumberOfPasswordPrompts 1",
        "SendEnv LANG LC_*",
        "SetEnv A=b",
        "ForwardAgent yes",
        "LocalForward 8000 127.0.0.1:80",
        "ControlMaster auto",
        "ControlPath ~/.ssh/cm-%C",
        "LogLevel QUIET",
        "RekeyLimit 1G 1h",
        "Protocol 2",
        "UseRoaming no",
        "CheckHostIP no",
        "CanonicalizeHostname no",
        "GSSAPIAuthentication no",
        "# a comment",
        "",
        "   ",
        "\tVisualHostKey no  ",
        "CanonicalDomains example.org",
        "RequestTTY force",
        "RemoteCommand none",
        "AddKeysToAgent confirm 5m",
    ])
    .prop_map(str::to_owned)
}

/// A file as lines, one of which may be `include`.
fn lines(include: &'static str) -> impl Strategy<Value = String> {
    let line = prop_oneof![
        3 => host_patterns().prop_map(|words| format!("Host {words}")),
        3 => criteria().prop_map(|all| format!("Match {all}")),
        12 => setting(),
        2 => Just(include.to_owned()),
    ];
    prop::collection::vec(line, 0..24).prop_map(|lines| {
        lines.join(
            "
",
        ) + "
"
    })
}

fn case() -> impl Strategy<Value = Case> {
    let overrides = (
        prop::option::weighted(0.2, Just("pi".to_owned())),
        prop::option::weighted(0.2, Just(2022u16)),
        prop::option::weighted(0.1, Just("Real.Host".to_owned())),
    )
        .prop_map(|(user, port, host_name)| Overrides { user, port, host_name });
    (lines("Include INCLUDED /no/such/*.conf"), lines(""), alias(), overrides)
        .prop_map(|(main, included, alias, overrides)| Case { main, included, alias, overrides })
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_generated_configuration_means_the_same_to_ssh(case in case()) {
        compare(&case);
    }
}

#[test]
fn key_files_are_expanded_as_ssh_expands_them() {
    let Some(mut local) = local() else { return };
    local.variables.insert("KEYS".into(), "/keys".into());
    let folder = tempfile::tempdir().unwrap();
    let text = "Host a\nHostName B.lan\nUser pi\nPort 2222\nHostKeyAlias Al\nProxyCommand false %h %p %r %n %%\n\
                IdentityFile ~/.ssh/%h-%n-%r-%p-%u-%d-%i-%k-%l-%L-%%\nIdentityFile ${KEYS}/k\n\
                IdentityFile \"/with space\"\nCertificateFile ~/c%n\n";
    let main = write(folder.path(), "main", text);
    let settings = SshConfig::load(std::slice::from_ref(&main), &local).unwrap();
    let settings = settings.resolve("a", &local, &Overrides::default()).settings;
    // The command fails at once, so nothing is connected to; what it was made of has been said by then.
    let output = Command::new("ssh")
        .args(["-v", "-o", "BatchMode=yes", "-F", main.to_str().unwrap(), "a"])
        .env("KEYS", "/keys")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim_end).collect();
    let mut expected =
        vec![format!("debug1: Executing proxy command: exec {}", settings.proxy_command.unwrap().value)];
    for key in &settings.identity_files {
        expected.push(format!("debug1: identity file {} type -1", key.value.display()));
    }
    for certificate in &settings.certificate_files {
        expected.push(format!("debug1: certificate file {} type -1", certificate.value.display()));
    }
    for line in expected {
        assert!(said.contains(&line.as_str()), "{line}\n{said:#?}");
    }
}
