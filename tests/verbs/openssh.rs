use std::fs;

use agent_runner_tests::interop::{Row, hold, server_in};
use agent_runner_tests::run::{checked, run};
use agent_runner_tests::sshd::SshdOptions;
use agent_runner_tests::sshd::keys::{Key, KeyKind};
use agent_runner_tests::wait;

use super::keys::Agent;
use super::loopback::{Loopback, loopback};

/// A setting of OpenSSH's configuration: the lines that set it, and what `ssh-check` shows of a connection that follows it
/// and of no other.
struct Case {
    keywords: &'static str,
    lines: &'static str,
    shows: &'static str,
    /// The lines of the connection that must not show it; none but the usual ones for most.
    without: &'static str,
}

/// In lines and words, `{home}` is the controller's, `{dir}` the server's folder, `{usual}` the lines that suffice.
const CASES: &[Case] = &[
    case("HostName, User, Port", "", "way:      {user}@127.0.0.1:{port}\n").not_with("User nobody\nPort 1"),
    case("IdentityFile, several", "IdentityFile {home}/other", "/other refused\n"),
    case("IdentitiesOnly", "IdentitiesOnly yes", "login:    key {key}\n").not_with("IdentitiesOnly no"),
    case(
        "IdentityAgent",
        "IdentityFile {home}/other\nIdentityAgent {home}/agent",
        "login:    key {key}; before it: agent key SHA256:",
    )
    .not_with("IdentityFile {home}/other\nIdentityAgent none"),
    case("IdentityAgent none", "IdentitiesOnly no\nIdentityAgent none", "login:    key {key}\n")
        .not_with("IdentitiesOnly no"),
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
    case("ProxyJump none", "ProxyJump none\nProxyJump hop", "way:      {user}@127.0.0.1:{port}\n")
        .not_with("ProxyJump hop"),
    case(
        "ProxyCommand",
        "ProxyCommand exec ssh -F {home}/.ssh/config -W %h:%p hop",
        "way:      command `exec ssh -F {home}/.ssh/config -W 127.0.0.1:{port} hop` -> {user}@127.0.0.1:{port}\n\
         host key: known: ",
    ),
    case(
        "HostKeyAlias",
        "HostKeyAlias alias\nUserKnownHostsFile {home}/aliased",
        "host key: known: ssh-ed25519 ",
    )
    .not_with("UserKnownHostsFile {home}/aliased"),
    case(
        "UserKnownHostsFile, several",
        "UserKnownHostsFile {home}/none {dir}/known_hosts",
        "host key: known: ssh-ed25519 ",
    )
    .not_with("UserKnownHostsFile {home}/none"),
    case(
        "GlobalKnownHostsFile",
        "UserKnownHostsFile none\nGlobalKnownHostsFile {dir}/known_hosts",
        "host key: known: ",
    )
    .not_with("UserKnownHostsFile none"),
    case(
        "StrictHostKeyChecking accept-new",
        "StrictHostKeyChecking accept-new\nUserKnownHostsFile {home}/new",
        "host key: known: ssh-ed25519 ",
    )
    .not_with("UserKnownHostsFile {home}/new"),
    case(
        "StrictHostKeyChecking yes",
        "StrictHostKeyChecking yes\nUserKnownHostsFile {home}/none",
        "host key: unknown\n",
    )
    .not_with("StrictHostKeyChecking accept-new\nUserKnownHostsFile {home}/new-too"),
    case("HashKnownHosts", "HashKnownHosts yes", "(~/.ssh/config:2)  honoured\n"),
    case(
        "ProxyCommand, which fails",
        "ProxyCommand sh -c 'echo no route to %h >&2; exit 1'",
        "failed, saying `no route to 127.0.0.1`",
    ),
    case("ConnectTimeout", "ConnectTimeout 77", "ConnectTimeout      77  (~/.ssh/config:2)  honoured\n"),
    case(
        "ServerAliveInterval, ServerAliveCountMax",
        "ServerAliveInterval 9\nServerAliveCountMax 2",
        "ServerAliveInterval  9  (~/.ssh/config:2)  honoured\n",
    ),
    case("AddressFamily inet", "AddressFamily inet\nHostName ::1", "has no address of the permitted family")
        .not_with("HostName ::1"),
    case("AddressFamily inet6", "AddressFamily inet6", "login:    none\n"),
    case("BindAddress", "BindAddress 127.0.0.9", "Connection from 127.0.0.9 "),
    case("Ciphers", "Ciphers aes128-ctr", ", aes128-ctr, hmac-"),
    case("Ciphers, without some", "Ciphers -chacha20*,aes*gcm*", ", aes256-ctr, hmac-"),
    case("MACs", "Ciphers aes128-ctr\nMACs hmac-sha2-512", "aes128-ctr, hmac-sha2-512 ("),
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
    Case { keywords, lines, shows, without: "" }
}

impl Case {
    const fn not_with(self, without: &'static str) -> Self {
        Self { without, ..self }
    }
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
        let expected = plain(&fleet, &filled(&fleet, case.shows));
        let (without, _) = checked_with(&fleet, case.without);
        let (with, server) = checked_with(&fleet, case.lines);
        if without.contains(&expected) || !with.contains(&expected) {
            let keywords = case.keywords;
            wrong.push(format!("{keywords}: {expected:?} is not in\n{with}\nor is in\n{without}"));
        }
        rows.push(Row { what: case.keywords.to_owned(), server, result: "followed".to_owned() });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    hold("OpenSSH's own settings", &rows).unwrap();
}

/// Returns what is said under these lines: by `ssh-check`, then by the server; and what the server calls itself.
fn checked_with(fleet: &Loopback, lines: &str) -> (String, String) {
    let config = filled(fleet, &format!("Host pi1\n{lines}\nHost pi1\n{{usual}}Host hop second\n{{usual}}"));
    fleet.controller.write(".ssh/config", &config).unwrap();
    let logged = fleet.sshd.log().len();
    let mut command = fleet.controller.command();
    command.env("SSH_AUTH_SOCK", fleet.controller.home().join("agent")).arg("ssh-check");
    let output = run(&mut command, wait::DEADLINE).unwrap();
    let log = fleet.sshd.log().split_off(logged);
    (plain(fleet, &format!("{}{}{log}", output.stdout, output.stderr)), server_in(&output.stdout))
}

/// Columns do not matter, nor where the home is.
fn plain(fleet: &Loopback, text: &str) -> String {
    let text = text.replace(&fleet.controller.home().join(".ssh").display().to_string(), "~/.ssh");
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
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
