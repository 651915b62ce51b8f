//! The loopback server of the harness keeps its promises.

use std::net::TcpStream;
use std::time::Duration;

use agent_runner_tests::process::with_environment;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::sshd::keys::KeyKind;
use agent_runner_tests::sshd::{Sshd, SshdOptions};
use agent_runner_tests::wait;

#[test]
fn a_session_runs_in_a_throw_away_home() {
    let Some(sshd) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let said = sshd.ssh("echo \"$HOME\"; pwd; echo 'a  b' | cat").unwrap().checked().unwrap();
    let home = sshd.home().display().to_string();
    assert_eq!(said, format!("{home}\n{home}\na  b"));
    assert!(sshd.log().contains("Accepted publickey for"), "{}", sshd.log());
}

#[test]
fn the_code_of_a_command_and_both_outputs_come_back() {
    let Some(sshd) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let output = sshd.ssh("echo out; echo err >&2; exit 7").unwrap();
    assert_eq!((output.code(), output.stdout.as_str(), output.stderr.as_str()), (7, "out\n", "err\n"));
}

#[test]
fn own_configuration_address_and_host_keys_are_used() {
    let options = SshdOptions {
        address: "127.0.0.77".parse().unwrap(),
        host_keys: vec![KeyKind::Ecdsa, KeyKind::Rsa],
        config_lines: vec!["AuthorizedKeysFile none".to_owned()],
        ..SshdOptions::default()
    };
    let Some(sshd) = or_skip(Sshd::start(options)) else { return };
    assert_eq!(sshd.addr().ip().to_string(), "127.0.0.77");
    assert!(sshd.host_key(KeyKind::Rsa).unwrap().starts_with("ssh-rsa "));
    let output = sshd.ssh("true").unwrap();
    assert_eq!(output.code(), 255);
    assert!(output.stderr.contains("Permission denied"), "{}", output.stderr);
}

#[test]
fn a_changed_host_key_is_refused_by_the_client() {
    let Some(mut sshd) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    sshd.change_host_keys().unwrap();
    let output = sshd.ssh("true").unwrap();
    assert!(output.stderr.contains("REMOTE HOST IDENTIFICATION HAS CHANGED"), "{}", output.stderr);
}

#[test]
fn nothing_outlives_the_server_not_even_a_daemon_a_session_left() {
    let Some(sshd) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let mark =
        sshd.ssh("setsid sleep 1000 </dev/null >/dev/null 2>&1 & env | grep ^AGENT_RUNNER_TEST_SESSION=");
    let mark = mark.unwrap().checked().unwrap();
    assert!(wait::until(wait::DEADLINE, || !with_environment(&mark).is_empty()), "the daemon runs");
    let (addr, dir) = (sshd.addr(), sshd.dir().to_path_buf());
    drop(sshd);
    assert_eq!(with_environment(&mark), []);
    assert!(TcpStream::connect(addr).is_err());
    assert!(!dir.exists());
}

#[test]
fn a_frozen_server_takes_connections_and_says_nothing() {
    use std::io::Read as _;
    let Some(sshd) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    sshd.freeze();
    let mut connection = TcpStream::connect_timeout(&sshd.addr(), Duration::from_secs(10)).unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(connection.read(&mut [0; 8]).is_err());
    sshd.thaw();
    connection.set_read_timeout(Some(wait::DEADLINE)).unwrap();
    assert!(connection.read(&mut [0; 8]).unwrap() > 0);
}

#[test]
fn a_stopped_server_comes_back_on_its_port() {
    let Some(mut sshd) = or_skip(Sshd::start(SshdOptions::default())) else { return };
    let addr = sshd.addr();
    sshd.stop();
    assert_eq!(sshd.ssh("true").unwrap().code(), 255);
    sshd.restart().unwrap();
    assert_eq!(sshd.addr(), addr);
    assert_eq!(sshd.ssh("true").unwrap().code(), 0);
}
