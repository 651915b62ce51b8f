//! What is wrong with a host or the way to it, against a real OpenSSH server on loopback.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use agent_runner_tests::run::checked;
use agent_runner_tests::wait;

use super::fleet::command_line;
use super::{Entry, Places};
use crate::bench::Bench;

/// A bench on which a host that is silent is given up soon.
fn bench() -> Option<Bench> {
    let bench = Bench::new("pi", "research")?;
    bench.inventory("identities_only = true\n", "identities_only = true\nconnect_timeout = 2\n");
    Some(bench)
}

fn to_port(bench: &Bench, port: u16) {
    bench.inventory(&format!("port = {}", bench.sshd.port()), &format!("port = {port}"));
}

type Case = (&'static str, fn(&mut Bench), &'static [&'static str]);

const CASES: &[Case] = &[
    ("A name that nobody knows", |it| it.inventory("\"127.0.0.1\"", "\"nosuch.invalid\""), &["ping"]),
    ("Nobody listens", |it| to_port(it, closed_port()), &["ping"]),
    ("A host that is silent", |it| it.sshd.freeze(), &["ping"]),
    ("A host that is not known yet", |it| fs::write(it.sshd.known_hosts(), "").unwrap(), &["ping"]),
    ("A host that is another one now", |it| it.sshd.change_host_keys().unwrap(), &["ping"]),
    ("A key that others can read", |it| mode(it, 0o644), &["ping"]),
    ("A key that is not there", |it| it.with_key("~/.ssh/nosuch"), &["ping"]),
    ("A key that the host refuses", |it| it.with_strange_key(), &["ping"]),
    ("A key with a passphrase and nobody to ask", sealed, &["ping"]),
    ("A command that fails", |_| {}, &["exec", "pi", "--", "sh", "-c", "echo no disk >&2; exit 3"]),
    ("A command that is not there", |_| {}, &["exec", "pi", "--", "nosuch-command"]),
    ("A command that takes too long", |_| {}, &["--timeout", "2", "exec", "pi", "--", "sleep", "60"]),
    ("A host without the agent", |_| {}, &["status"]),
    ("A host without the agent, looked into", |_| {}, &["peek"]),
    ("Nothing to go back to", |_| {}, &["rollback", "--yes"]),
    ("A work tree that is not there", |_| {}, &["deploy", "--yes"]),
];

fn closed_port() -> u16 {
    // Free a moment ago, and nobody else is told of it.
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn mode(bench: &Bench, mode: u32) {
    fs::set_permissions(bench.sshd.client_key(), fs::Permissions::from_mode(mode)).unwrap();
}

fn sealed(bench: &mut Bench) {
    let key = bench.sshd.client_key().display().to_string();
    checked("ssh-keygen", &["-q", "-p", "-P", "", "-N", "secret", "-f", &key], wait::DEADLINE).unwrap();
}

pub(super) fn entries() -> Option<(Places, Vec<Entry>)> {
    let (mut places, mut entries) = (Vec::new(), Vec::new());
    for (title, breaks, arguments) in CASES {
        let mut bench = bench()?;
        let user = bench.sshd.user().to_owned();
        breaks(&mut bench);
        let output = bench.controller.run(arguments).unwrap();
        let sshd = bench.sshd.dir().display().to_string();
        places.push((sshd, "/home/ann/pi"));
        places.push((bench.controller.home().display().to_string(), "/home/ann"));
        places.push((format!("{user}@"), "pi@"));
        places.push((format!("{user} was not let in"), "pi was not let in"));
        entries.push(Entry { title, command: command_line(arguments), output });
    }
    Some((Places(places), entries))
}
