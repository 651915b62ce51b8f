use std::fs;

use agent_runner_tests::interop::{Row, hold, server_in};
use agent_runner_tests::run::checked;
use agent_runner_tests::sshd::SshdOptions;
use agent_runner_tests::sshd::keys::{Key, KeyKind};
use agent_runner_tests::wait;

use super::keys::Agent;
use super::loopback::{Loopback, loopback};

/// A setting of OpenSSH's configuration: the lines that set it, and what `ssh-check` shows of a connection that follows it.
struct Case {
    keywords: &'static str,
    lines: &'static str,
    shows: &'static str,
}

/// In lines and words, `{home}` is the controller's, `{dir}` the server's folder, `{usual}` the lines that suffice.
const CASES: &[Case] = &[
    case("HostName, User, Port", "", "way:      {user}@127.0.0.1:{port}\n"),
    case(
        "IdentityFile, several",
        "IdentityFile {home}/other",
        "login:    key {key}; before it: key {home}/other refused\n",
    ),
    case("IdentitiesOnly", "IdentityAgent {home}/agent\nIdentityFile {key}", "login:    key {key}\n"),
    case(
        "IdentityAgent",
        "IdentityFile {home}/other\nIdentityAgent {home}/agent",
        "login:    key {key}; before it: agent key SHA256:",
    ),
    case("IdentityAgent none", "IdentityAgent none", "login:    key {key}\n"),
    case(
        "CertificateFile",
        "IdentityFile {home}/signed\nCertificateFile {home}/elsewhere-cert.pub",
        "login:    certificate {home}/elsewhere-cert.pub (me)\n",
    ),
    case("ProxyJump", "ProxyJump hop", "way:      {user}@127.0.0.1:{port} -> {user}@127.0.0.1:{port}\n"),
    case(
        "ProxyJump, several",
        "ProxyJump hop,{user}@second",
        "way:      {user}@127.0.0.1:{port} -> {user}@127.0.0.1:{port} -> {user}@127.0.0.1:{port}\n",
    ),
    case("ProxyJump none", "ProxyJump none\nProxyJump hop", "way:      {user}@127.0.0.1:{port}\n"),
    case(
        "ProxyCommand",
        "ProxyCommand exec ssh -F {home}/.ssh/config -W %h:%p hop",
        "way:      command `exec ssh -F {home}/.ssh/config -W 127.0.0.1:{port} hop` -> ",
    ),
    case(
        "HostKeyAlias",
        "HostKeyAlias alias\nUserKnownHostsFile {home}/aliased",
        "host key: known: ssh-ed25519 ",
    ),
    case(
        "UserKnownHostsFile, several",
        "UserKnownHostsFile {home}/none {dir}/known_hosts",
        "host key: known: ssh-ed25519 ",
    ),
    case(
        "GlobalKnownHostsFile",
        "UserKnownHostsFile none\nGlobalKnownHostsFile {dir}/known_hosts",
        "host key: known: ",
    ),
    case(
        "StrictHostKeyChecking accept-new",
        "StrictHostKeyChecking accept-new\nUserKnownHostsFile {home}/new",
        "host key: known: ssh-ed25519 ",
    ),
    case(
        "StrictHostKeyChecking yes",
        "StrictHostKeyChecking yes\nUserKnownHostsFile {home}/none",
        "host key: unknown\n",
    ),
    case("HashKnownHosts", "HashKnownHosts yes", "(~/.ssh/config:2)  honoured\n"),
    case("ConnectTimeout", "ConnectTimeout 77", "ConnectTimeout      77  (~/.ssh/config:2)  honoured\n"),
    case(
        "ServerAliveInterval, ServerAliveCountMax",
        "ServerAliveInterval 9\nServerAliveCountMax 2",
        "ServerAliveInterval  9  (~/.ssh/config:2)  honoured\n",
    ),
    case("AddressFamily inet", "AddressFamily inet", "login:    key {key}\n"),
    case("AddressFamily inet6", "AddressFamily inet6", "login:    none\n"),
    case("BindAddress", "BindAddress 127.0.0.9", "login:    key {key}\n"),
    case("Ciphers", "Ciphers aes128-ctr", "aes128-ctr ("),
    case("Ciphers, without some", "Ciphers -chacha20*,aes*gcm*", "aes256-ctr ("),
    case("MACs", "Ciphers aes128-ctr\nMACs hmac-sha2-512", "login:    key {key}\n"),
    case("KexAlgorithms", "KexAlgorithms ecdh-sha2-nistp256", "agreed:   ecdh-sha2-nistp256, "),
    case(
        "HostKeyAlgorithms",
        "HostKeyAlgorithms ecdsa-sha2-nistp256",
        "host key: known: ecdsa-sha2-nistp256 ",
    ),
    case("PubkeyAuthentication no", "PubkeyAuthentication no", "login:    refused\n"),
    case("PreferredAuthentications", "PreferredAuthentications password", "login:    refused\n"),
    case(
        "Match exec, asked of ssh",
        "Match exec \"true\"\nConnectTimeout 78",
        "78  (ssh -G)  asked of ssh\n",
    ),
];

const fn case(keywords: &'static str, lines: &'static str, shows: &'static str) -> Case {
    Case { keywords, lines, shows }
}

#[test]
fn what_openssh_is_told_is_followed() {
    let options = SshdOptions { host_keys: vec![KeyKind::Ed25519, KeyKind::Ecdsa], ..SshdOptions::default() };
    let ca = tempfile::tempdir().unwrap();
    let ca_key = Key::generate(ca.path().join("ca"), KeyKind::Ed25519, "").unwrap();
    let lines = vec![format!("TrustedUserCAKeys {}.pub", ca_key.path().display())];
    let Some(fleet) = loopback(1, SshdOptions { config_lines: lines, ..options }) else { return };
    let _agent = prepare(&fleet, &ca_key);
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    for case in CASES {
        let fill = |text: &str| filled(&fleet, text);
        let hops = "Host hop second\n{usual}";
        let config = fill(&format!("Host pi1\n{}\nHost pi1\n{{usual}}{hops}", case.lines));
        fleet.controller.write(".ssh/config", &config).unwrap();
        let output = fleet.controller.run(&["ssh-check"]).unwrap();
        let one_space =
            |text: &str| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let said =
            output.stdout.replace(&fleet.controller.home().join(".ssh").display().to_string(), "~/.ssh");
        let expected =
            fill(case.shows).replace(&fleet.controller.home().join(".ssh").display().to_string(), "~/.ssh");
        if !one_space(&said).contains(&one_space(&expected)) {
            wrong.push(format!("{}: {expected:?} is not in\n{said}{}", case.keywords, output.stderr));
        }
        let server = server_in(&output.stdout);
        rows.push(Row { what: case.keywords.to_owned(), server, result: "followed".to_owned() });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    hold("OpenSSH's own settings", &rows).unwrap();
}

fn filled(fleet: &Loopback, text: &str) -> String {
    let usual: Vec<String> =
        fleet.sshd.ssh_config("x").lines().skip(1).map(|line| format!("{line}\n")).collect();
    text.replace("{usual}", &usual.concat())
        .replace("{home}", &fleet.controller.home().display().to_string())
        .replace("{dir}", &fleet.sshd.dir().display().to_string())
        .replace("{key}", &fleet.sshd.client_key().display().to_string())
        .replace("{user}", fleet.sshd.user())
        .replace("{port}", &fleet.sshd.port().to_string())
}

/// Makes the keys and files that the cases name, and an agent that holds `other`.
fn prepare(fleet: &Loopback, ca: &Key) -> Agent {
    let home = fleet.controller.home();
    let other = Key::generate(home.join("other"), KeyKind::Ed25519, "").unwrap();
    let signed = Key::generate(home.join("signed"), KeyKind::Ed25519, "").unwrap();
    let paths = [ca.path(), signed.path()].map(|path| path.display().to_string());
    let arguments = ["-q", "-I", "me", "-n", fleet.sshd.user(), "-s", &paths[0], &paths[1]];
    checked("ssh-keygen", &arguments, wait::DEADLINE).unwrap();
    fs::rename(home.join("signed-cert.pub"), home.join("elsewhere-cert.pub")).unwrap();
    let key = fleet.sshd.host_key(KeyKind::Ed25519).unwrap();
    fleet.controller.write("aliased", &format!("alias {key}\n")).unwrap();
    Agent::start(&home.join("agent"), &[other.path()])
}
