use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use agent_runner_tests::process::Process;
use agent_runner_tests::run::{Output, run};
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::sshd::SshdOptions;
use agent_runner_tests::sshd::keys::{Key, KeyKind};
use agent_runner_tests::tmux::Tmux;
use agent_runner_tests::wait;
use nix::sys::signal::Signal;

use super::loopback::{Loopback, loopback};

/// A server that lets in an encrypted key, and an OpenSSH configuration that begins with these lines.
fn locked(first: &str) -> Option<Loopback> {
    let fleet = loopback(3, SshdOptions::default())?;
    let key = Key::generate(fleet.controller.home().join("locked"), KeyKind::Ed25519, "open sesame").unwrap();
    fs::write(fleet.sshd.dir().join("authorized_keys"), key.public().unwrap()).unwrap();
    let config = fleet.sshd.ssh_config("pi*");
    let named =
        config.replace(&fleet.sshd.client_key().display().to_string(), &key.path().display().to_string());
    fleet.controller.write(".ssh/config", &format!("{first}{named}")).unwrap();
    let asked = fleet.controller.home().join("asked");
    let program = format!("#!/bin/sh\necho \"$1\" >> {}\necho 'open sesame'\n", asked.display());
    fleet.controller.write("askpass", &program).unwrap();
    fs::set_permissions(fleet.controller.home().join("askpass"), fs::Permissions::from_mode(0o755)).unwrap();
    Some(fleet)
}

fn ping(fleet: &Loopback) -> Output {
    let mut command = fleet.controller.command();
    command.args(["ping"]);
    command.env("SSH_ASKPASS", fleet.controller.home().join("askpass")).env("SSH_ASKPASS_REQUIRE", "force");
    run(&mut command, wait::DEADLINE).unwrap()
}

#[test]
fn an_encrypted_key_is_asked_for_once_a_run_by_the_askpass_program() {
    let Some(fleet) = locked("") else { return };
    let output = ping(&fleet);
    assert_eq!(output.code(), 0, "{}", output.stderr);
    let key = fleet.controller.home().join("locked");
    let asked = fs::read_to_string(fleet.controller.home().join("asked")).unwrap();
    assert_eq!(asked, format!("passphrase of {}: \n", key.display()), "once for three hosts");
}

#[test]
fn batch_mode_asks_nobody() {
    let Some(fleet) = locked("Host *\n    BatchMode yes\n") else { return };
    let output = ping(&fleet);
    assert_eq!(output.code(), 4, "{}", output.stderr);
    assert!(output.stderr.contains("encrypted, and BatchMode asks nobody"), "{}", output.stderr);
    assert!(!fleet.controller.home().join("asked").exists());
}

/// One server and a configuration of these lines before the usual ones; what `ping` says, and the server's log.
fn with(lines: &str) -> Option<(Output, Loopback)> {
    let fleet = loopback(1, SshdOptions::default())?;
    let config = fleet.sshd.ssh_config("pi*");
    fleet.controller.write(".ssh/config", &format!("Host *\n{lines}\n{config}")).unwrap();
    let output = fleet.controller.run(&["ping"]).unwrap();
    Some((output, fleet))
}

#[test]
fn connections_start_where_bind_address_says() {
    let Some((output, fleet)) = with("    BindAddress 127.0.0.9") else { return };
    assert_eq!(output.code(), 0, "{}", output.stderr);
    assert!(fleet.sshd.log().contains("Connection from 127.0.0.9 port"), "{}", fleet.sshd.log());
    let Some((output, _)) = with("    BindAddress 192.0.2.7") else { return };
    assert_eq!(output.code(), 4, "{}", output.stderr);
    assert!(output.stderr.contains("cannot start from BindAddress 192.0.2.7"), "{}", output.stderr);
}

#[test]
fn ways_to_log_in_that_are_switched_off_are_not_tried() {
    for lines in ["    PubkeyAuthentication no", "    PreferredAuthentications keyboard-interactive,password"]
    {
        let Some((output, fleet)) = with(lines) else { return };
        assert_eq!(output.code(), 4, "{}", output.stderr);
        assert!(output.stderr.contains("the host accepts publickey"), "{lines}: {}", output.stderr);
        assert!(!output.stderr.contains("refused;"), "no key was offered: {}", output.stderr);
        assert!(!fleet.sshd.log().contains("Failed publickey"), "{}", fleet.sshd.log());
    }
}

#[test]
fn names_are_recorded_as_hashes_where_that_is_configured() {
    let Some(fleet) = loopback(1, SshdOptions::default()) else { return };
    fs::write(fleet.sshd.known_hosts(), "").unwrap();
    let config = format!("Host *\n    HashKnownHosts yes\n{}", fleet.sshd.ssh_config("pi*"));
    fleet.controller.write(".ssh/config", &config).unwrap();
    assert_eq!(fleet.controller.run(&["ping", "--accept-new"]).unwrap().code(), 0);
    let recorded = fs::read_to_string(fleet.sshd.known_hosts()).unwrap();
    assert!(recorded.starts_with("|1|") && recorded.lines().count() == 1, "{recorded}");
    assert_eq!(fleet.controller.run(&["ping"]).unwrap().code(), 0);
    // OpenSSH's own client takes it too.
    assert!(fleet.sshd.ssh("true").unwrap().success());
}

#[test]
fn a_connection_is_tried_as_often_as_configured() {
    let Some(fleet) = loopback(1, SshdOptions::default()) else { return };
    let config = format!("Host *\n    ConnectionAttempts 60\n{}", fleet.sshd.ssh_config("pi*"));
    fleet.controller.write(".ssh/config", &config).unwrap();
    let mut fleet = fleet;
    fleet.sshd.stop();
    let running = fleet.controller.start(&["ping", "-vv"]).unwrap();
    running.wait_for_error(wait::DEADLINE, "trying again").unwrap();
    fleet.sshd.restart().unwrap();
    let output = running.wait(wait::DEADLINE).unwrap();
    assert_eq!(output.code(), 0, "{}", output.stderr);
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_agent-runner-fleet-under-test");

/// The terminal shows what is typed, line by line, and its keys send signals.
fn is_as_before(tmux: &Tmux) {
    tmux.enter("stty -a | tr ' ' '\\n' | grep -x -e echo -e icanon -e isig | tr '\\n' ,");
    tmux.wait_for("isig,icanon,echo,").unwrap();
}

#[test]
fn a_passphrase_typed_on_the_terminal_is_not_shown_and_lets_in() {
    let Some(fleet) = locked("") else { return };
    let Some(tmux) = or_skip(Tmux::open(fleet.controller.home(), (120, 30))) else { return };
    tmux.enter(&format!("{PROGRAM} ping; echo ended' '$?"));
    tmux.wait_for("passphrase of").unwrap();
    tmux.enter("open sesame");
    let screen = tmux.wait_for("ended 0").unwrap();
    assert!(screen.contains("ok 3") && !screen.contains("sesame"), "{screen}");
    is_as_before(&tmux);
}

#[test]
fn an_open_question_is_called_off_when_time_is_up_and_the_terminal_is_as_before() {
    let Some(fleet) = locked("") else { return };
    let Some(tmux) = or_skip(Tmux::open(fleet.controller.home(), (120, 30))) else { return };
    tmux.enter(&format!("{PROGRAM} ping --timeout 30; echo ended' '$?"));
    tmux.wait_for("passphrase of").unwrap();
    let screen = tmux.wait_for("ended 2").unwrap();
    assert!(screen.contains("no result within 31 s"), "{screen}");
    is_as_before(&tmux);
}

#[test]
fn an_open_question_is_called_off_by_sigterm_and_by_ctrl_c() {
    let Some(fleet) = locked("") else { return };
    for key in [None, Some("C-c")] {
        let Some(tmux) = or_skip(Tmux::open(fleet.controller.home(), (120, 30))) else { return };
        tmux.enter(&format!("sh -c 'echo $$ >pid; exec {PROGRAM} ping'; echo ended' '$?"));
        tmux.wait_for("passphrase of").unwrap();
        let pid = fs::read_to_string(fleet.controller.home().join("pid")).unwrap();
        match key {
            Some(key) => tmux.press(&[key]),
            None => Process::find(pid.trim().parse().unwrap()).unwrap().signal(Signal::SIGTERM),
        }
        let screen = tmux.wait_for("ended 130").unwrap();
        assert!(screen.contains("starting no more hosts"), "{screen}");
        is_as_before(&tmux);
    }
}

#[test]
fn a_connection_must_stand_as_soon_as_connect_timeout_says() {
    // Connections are made there, and nobody ever says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let Some((output, _)) = with(&format!("    ConnectTimeout 1\n    Port {port}")) else { return };
    assert_eq!(output.code(), 4, "{}", output.stderr);
    let said = format!("no answer from 127.0.0.1:{port} within 1.0 s (connected, but it does not speak SSH)");
    assert!(output.stderr.contains(&said), "{}", output.stderr);
}

#[test]
fn a_host_that_falls_silent_is_found_out_as_soon_as_server_alive_interval_says() {
    let Some(fleet) = loopback(2, SshdOptions::default()) else { return };
    let config = format!(
        "Host pi1\n    ServerAliveInterval 1\n    ServerAliveCountMax 1\nHost pi2\n    ServerAliveInterval 600\n{}",
        fleet.sshd.ssh_config("pi*")
    );
    fleet.controller.write(".ssh/config", &config).unwrap();
    let run = ["exec", "--json", "--", "touch started.$$; exec sleep 600"];
    let run = fleet.controller.start(&run).unwrap();
    let started = || fs::read_dir(fleet.sshd.home()).unwrap().count();
    assert!(wait::until(wait::DEADLINE, || started() == 2), "both are at work");
    fleet.sshd.freeze();
    // Long enough on a busy machine, and not for those who ask every 15 s, three times.
    let lost = run.wait_for(Duration::from_secs(40), |line| line["host"] == "pi1").unwrap();
    fleet.sshd.thaw();
    assert_eq!(lost["result"], "failed", "{lost}");
    assert!(lost["message"].as_str().unwrap().contains("connection lost"), "{lost}");
    assert_eq!(run.lines().len(), 1, "the other one is not asked yet: {}", run.said());
}
