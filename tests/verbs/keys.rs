use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use agent_runner_tests::interop::{Row, hold, server_in};
use agent_runner_tests::sshd::SshdOptions;
use agent_runner_tests::sshd::key_agent::{KeyAgent, Touch};
use agent_runner_tests::sshd::keys::{Key, KeyKind};
use agent_runner_tests::wait;

use super::loopback::{Loopback, loopback};

/// OpenSSH's agent, which ends with the test.
pub(crate) struct Agent(Child);

impl Agent {
    /// Starts one that listens at `socket` and holds these keys.
    pub(crate) fn start(socket: &Path, keys: &[&Path]) -> Self {
        let mut command = Command::new("ssh-agent");
        command.args(["-D", "-a"]).arg(socket).stdout(Stdio::null());
        let agent = Self(command.spawn().unwrap());
        // The socket is there before anybody listens on it.
        assert!(wait::until(wait::DEADLINE, || UnixStream::connect(socket).is_ok()));
        for key in keys {
            let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", socket).status();
            assert!(added.unwrap().success());
        }
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets one key in, and offers what these lines of the configuration say; returns the line of `ssh-check` about the login,
/// and the server.
fn login(fleet: &Loopback, (authorized, lines): (&str, &str)) -> (String, String) {
    fs::write(fleet.sshd.dir().join("authorized_keys"), authorized).unwrap();
    let usual = fleet.sshd.ssh_config("pi*");
    let own = |line: &&str| !line.contains("Identit");
    let usual: Vec<&str> = usual.lines().filter(own).collect();
    fleet.controller.write(".ssh/config", &format!("Host *\n{lines}\n{}\n", usual.join("\n"))).unwrap();
    let output = fleet.controller.run(&["ssh-check"]).unwrap();
    let line = output.stdout.lines().find(|line| line.starts_with("login:")).unwrap_or_default();
    (format!("{line}\n{}", output.stderr), server_in(&output.stdout))
}

#[test]
fn each_kind_of_key_lets_us_in_from_a_file_and_from_an_agent() {
    let Some(fleet) = loopback(1, SshdOptions::default()) else { return };
    let home = fleet.controller.home();
    let mut rows = Vec::new();
    for (kind, name) in [(KeyKind::Ed25519, "ed25519"), (KeyKind::Ecdsa, "ECDSA"), (KeyKind::Rsa, "RSA")] {
        let key = Key::generate(home.join(name), kind, "").unwrap();
        let (public, path) = (key.public().unwrap(), key.path().display().to_string());
        let file = format!("IdentitiesOnly yes\nIdentityFile {path}");
        let (line, server) = login(&fleet, (&public, &file));
        assert!(line.starts_with(&format!("login:    key {path}\n")), "{line}");
        rows.push(Row { what: format!("{name} key in a file"), server, result: "works".to_owned() });
        let socket = home.join(format!("{name}.agent"));
        let _agent = Agent::start(&socket, &[key.path()]);
        let (line, server) = login(&fleet, (&public, &format!("IdentityAgent {}", socket.display())));
        assert!(line.starts_with("login:    agent key SHA256:"), "{line}");
        rows.push(Row { what: format!("{name} key of an agent"), server, result: "works".to_owned() });
    }
    let agent = KeyAgent::start(Touch::Given).unwrap();
    let lines = format!("IdentityAgent {}", agent.socket().display());
    for connections in 1..=2 {
        let (line, server) = login(&fleet, (&agent.authorized(), &lines));
        assert!(line.starts_with("login:    agent key SHA256:"), "{line}");
        assert!(line.lines().next().unwrap().ends_with(" touch me"), "{line}");
        assert_eq!(agent.signatures(), connections, "touched once a connection");
        if connections == 1 {
            let what = "FIDO key (sk-ssh-ed25519) of an agent".to_owned();
            rows.push(Row { what, server, result: "works".to_owned() });
        }
    }
    assert!(fleet.sshd.log().contains("ED25519-SK"), "{}", fleet.sshd.log());
    let untouched = KeyAgent::start(Touch::Missing).unwrap();
    let lines = format!("IdentityAgent {}", untouched.socket().display());
    let (line, _) = login(&fleet, (&untouched.authorized(), &lines));
    assert!(line.starts_with("login:    refused\n") && line.contains(" touch me refused"), "{line}");
    assert_eq!(untouched.signatures(), 1);
    let what = "the same, and nobody touched it".to_owned();
    rows.push(Row { what, server: "-".to_owned(), result: "refused: \"touch me refused\"".to_owned() });
    hold("Keys", &rows).unwrap();
}
