//! `monitor --mode http --host`: the page of another host through its OpenSSH server, under one port here.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use agent_runner_tests::fleet::Controller;
use agent_runner_tests::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::by_hand::{PROGRAM, host_by_hand, says};
use super::deployed::{ROUNDS, next_good_round};

/// What the page under a port says; nothing while it cannot be had.
fn page(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(wait::DEADLINE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn ends(child: &mut Child) -> bool {
    wait::until(wait::DEADLINE, || child.try_wait().unwrap().is_some())
}

#[test]
fn the_page_of_another_host_is_here_follows_it_and_survives_a_cut_cable() {
    let Some(lab) = host_by_hand() else { return };
    let host = &lab.hosts()[0];
    says(host, "agent-runner install");
    let first = next_good_round(host);

    let home = Controller::new(PROGRAM).unwrap();
    let config = lab.write_ssh_config(home.home()).unwrap();
    let ssh = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", config.display());
    home.write("bin/ssh", &ssh).unwrap();
    let wrapper = home.home().join("bin/ssh");
    std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // The name and the place of a program that ssh alone would not find.
    host.root("ln -s /home/ops/.local/bin/agent-runner /usr/local/bin/agent-runner")
        .unwrap()
        .checked()
        .unwrap();
    home.write("agent-runner.toml", &host.says("cat demo/agent-runner.toml").unwrap()).unwrap();
    let mut relay = Command::new(PROGRAM)
        .args(["monitor", "--mode", "http", "--host", host.name(), "--port", &port.to_string()])
        .args(["--remote-config", "~/demo/agent-runner.toml", "--config"])
        .arg(home.home().join("agent-runner.toml"))
        .env_clear()
        .env("HOME", home.home())
        .env("PATH", format!("{}:/usr/bin:/bin", home.home().join("bin").display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(relay.stdout.take().unwrap());
    let mut url = String::new();
    stdout.read_line(&mut url).unwrap();
    assert_eq!(url.trim(), format!("http://127.0.0.1:{port}/"));

    let tells = |wanted: &str| {
        wait::until(ROUNDS, || page(port, "/api/state").is_some_and(|state| state.contains(wanted)))
    };
    assert!(tells(&format!("\"round_num\": {first}")), "{:?}", page(port, "/api/state"));
    let next = next_good_round(host);
    assert!(tells(&format!("\"round_num\": {next}")), "{:?}", page(port, "/api/state"));
    assert!(page(port, "/").is_some_and(|page| page.contains("<h1>demo</h1>")));

    host.cut_cable().unwrap();
    let here = home.home().join(".agent-runner");
    let is_noticed = || {
        let found = Command::new("grep").args(["-rqs", "monitor_remote_blip"]).arg(&here).status().unwrap();
        found.success()
    };
    assert!(wait::until(ROUNDS, is_noticed), "a dead link is told here");
    host.plug_cable().unwrap();
    let later = next_good_round(host);
    assert!(tells(&format!("\"round_num\": {later}")), "{:?}", page(port, "/api/state"));

    kill(Pid::from_raw(i32::try_from(relay.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(ends(&mut relay));
    assert!(wait::until(ROUNDS, || page(port, "/").is_none()));
}
