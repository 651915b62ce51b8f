use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use agent_runner_tests::fleet::Controller;
use agent_runner_tests::run::checked;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::sshd::{Sshd, SshdOptions};
use agent_runner_tests::wait;
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
};

#[test]
fn a_host_of_the_inventory_is_a_jump_with_settings_of_its_own() {
    let Some(gate) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let Some(inner) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
    let fleet = format!(
        "[fleet]\nname = \"jumps\"\n\n{}\n{}proxy_jump = \"gate\"\n",
        gate.inventory_host("gate"),
        inner.inventory_host("inner")
    );
    controller.write("fleet.toml", &fleet).unwrap();
    let output = controller.run(&["exec", "inner", "--", "echo", "$SSH_CONNECTION"]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
    let port = inner.port().to_string();
    assert!(output.stdout.trim_end().ends_with(&port), "{}", output.stdout);
    let way = format!("{0}@127.0.0.1:{1} -> {0}@127.0.0.1:{port}", gate.user(), gate.port());
    let checked = controller.run(&["ssh-check", "inner"]).unwrap();
    assert!(checked.stdout.contains(&way), "{way} is not in {}", checked.stdout);
    // Each server let in its own key, which the other does not know.
    assert!(gate.log().contains("Accepted publickey"), "{}", gate.log());
    assert!(inner.log().contains("Accepted publickey"), "{}", inner.log());
}

#[test]
fn a_jump_that_is_off_is_named() {
    let Some(mut gate) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let Some(inner) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
    let hosts =
        format!("{}\n{}proxy_jump = \"gate\"\n", gate.inventory_host("gate"), inner.inventory_host("inner"));
    controller.write("fleet.toml", &format!("[fleet]\nname = \"jumps\"\n\n{hosts}")).unwrap();
    gate.stop();
    let output = controller.run(&["ping", "inner"]).unwrap();
    assert_eq!(output.code(), 4);
    assert!(output.stderr.contains("gate") && output.stderr.contains("refused"), "{}", output.stderr);
    assert!(!inner.log().contains("Connection from"), "{}", inner.log());
}

#[test]
fn the_user_of_the_command_line_is_not_that_of_a_jump() {
    let Some(gate) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let Some(inner) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
    let hosts =
        format!("{}\n{}proxy_jump = \"gate\"\n", gate.inventory_host("gate"), inner.inventory_host("inner"));
    controller.write("fleet.toml", &format!("[fleet]\nname = \"jumps\"\n\n{hosts}")).unwrap();
    let checked = controller.run(&["ssh-check", "inner", "-u", "somebody"]).unwrap();
    let way = format!("{}@127.0.0.1:{} -> somebody@127.0.0.1:{}", gate.user(), gate.port(), inner.port());
    assert!(checked.stdout.contains(&way), "{way} is not in {}{}", checked.stdout, checked.stderr);
    assert!(gate.log().contains("Accepted publickey"), "{}", gate.log());
}

#[test]
fn the_user_and_port_of_a_jump_are_known_when_its_settings_are_looked_up() {
    let Some(gate) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let Some(inner) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
    let (user, port, home) = (gate.user(), gate.port().to_string(), controller.home().display());
    let key = format!("{home}/{user}-{port}");
    fs::copy(gate.client_key(), &key).unwrap();
    let config = format!(
        "Match originalhost bast user {user}\n    UserKnownHostsFile {}\n\
         Host bast\n    HostName 127.0.0.1\n    User nobody\n    Port 1\n    IdentityFile {home}/%r-%p\n    IdentitiesOnly yes\n",
        gate.known_hosts().display()
    );
    controller.write(".ssh/config", &config).unwrap();
    // What OpenSSH makes of it.
    let file = format!("{home}/.ssh/config");
    let ssh = checked("ssh", &["-F", &file, "-G", "-l", user, "-p", &port, "bast"], wait::DEADLINE).unwrap();
    let (known, identity) = (gate.known_hosts(), format!("identityfile {home}/%r-%p\n"));
    assert!(ssh.contains(&format!("userknownhostsfile {}\n", known.display())), "{ssh}");
    assert!(ssh.contains(&format!("identityfile {key}\n")) || ssh.contains(&identity), "{ssh}");
    let fleet = format!(
        "[fleet]\nname = \"jumps\"\n\n{}proxy_jump = \"{user}@bast:{port}\"\n",
        inner.inventory_host("inner")
    );
    controller.write("fleet.toml", &fleet).unwrap();
    let output = controller.run(&["ping", "inner"]).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
}

#[test]
fn a_jump_outside_the_inventory_is_trusted_on_the_way_to_its_hosts() {
    let Some(gate) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let Some(inner) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
    controller.write("known", "").unwrap();
    let known = controller.home().join("known").display().to_string();
    let unknown = |text: &str, sshd: &Sshd| text.replace(&sshd.known_hosts().display().to_string(), &known);
    controller.write(".ssh/config", &unknown(&gate.ssh_config("bast"), &gate)).unwrap();
    let host = unknown(&inner.inventory_host("inner"), &inner);
    let fleet = format!("[fleet]\nname = \"jumps\"\n\n{host}proxy_jump = \"bast\"\n");
    controller.write("fleet.toml", &fleet).unwrap();
    let output = controller.run(&["ping"]).unwrap();
    assert_eq!(output.code(), 4, "{}", output.stderr);
    assert!(output.stderr.contains("jump host bast failed"), "{}", output.stderr);
    assert!(output.stderr.contains("hint: agent-runner-fleet trust inner\n"), "{}", output.stderr);
    let trusted = controller.run(&["trust", "inner", "--yes"]).unwrap();
    assert_eq!(trusted.code(), 0, "{}{}", trusted.stdout, trusted.stderr);
    let hosts: Vec<&str> = trusted.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(hosts, ["bast", "inner"], "the nearest first: {}", trusted.stdout);
    assert_eq!(controller.run(&["ping"]).unwrap().code(), 0);
    let lines = controller.run(&["trust", "--json"]).unwrap().json_lines().unwrap();
    assert!(lines.len() == 1 && lines[0]["host"] == "inner", "nothing new on the way: {lines:?}");
}

/// A port that answers no connection, as a host that is off: its queue is full, and nobody takes from it.
fn full() -> (SocketAddr, Full) {
    let listener = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&listener), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    listen(&listener, Backlog::new(1).unwrap()).unwrap();
    let bound: SockaddrIn = getsockname(std::os::fd::AsRawFd::as_raw_fd(&listener)).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], bound.port()));
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(500));
    let waiting: Vec<TcpStream> = std::iter::from_fn(|| connect().ok()).take(16).collect();
    (address, Full { _listener: listener, _waiting: waiting })
}

struct Full {
    _listener: std::os::fd::OwnedFd,
    _waiting: Vec<TcpStream>,
}

#[test]
fn hosts_that_are_off_behind_a_jump_keep_nobody_from_their_turn() {
    let Some(gate) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let controller = Controller::new(env!("CARGO_BIN_EXE_agent-runner-fleet-under-test")).unwrap();
    controller.write(".ssh/config", &gate.ssh_config("pi*")).unwrap();
    let (off, _held) = full();
    let mut fleet = "[fleet]\nname = \"jumps\"\n\n".to_owned();
    for number in 1..=3 {
        fleet += &format!(
            "[hosts.off{number}]\naddress = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\nconnect_timeout = 600\n\
             host_key_alias = \"off{number}\"\nproxy_jump = \"gate\"\n",
            off.port(),
            gate.user()
        );
    }
    fleet += &format!("{}[groups.on]\nhosts = [\"pi[1-3]\"]\n", gate.inventory_host("gate"));
    controller.write("fleet.toml", &fleet).unwrap();
    let run = ["exec", "off*", "pi*", "-f", "2", "--timeout", "900", "--json", "--", "true"];
    let run = controller.start(&run).unwrap();
    let well = || run.lines().iter().filter(|line| line["result"] == "ok").count() == 3;
    assert!(wait::until(wait::DEADLINE, well), "{}{}", run.said(), run.complained());
    assert_eq!(run.lines().len(), 3, "the others are still waited for: {}", run.said());
    run.signal(Signal::SIGINT);
    run.wait_for_error(wait::DEADLINE, "starting no more hosts").unwrap();
    assert_eq!(run.abort(wait::DEADLINE).unwrap().code(), 130);
}
