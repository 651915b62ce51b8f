//! `monitor --host` over a real OpenSSH connection.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use agent_runner::event::Event;
use agent_runner_tests::run::find_program;
use agent_runner_tests::skip::or_skip;
use agent_runner_tests::sshd::{Sshd, SshdOptions};
use agent_runner_tests::wait;

use crate::watched::project;

const AGENT: &str = env!("CARGO_BIN_EXE_agent-runner-under-test");

struct Relay {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn executable(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o755).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn logged(dir: &Path, kind: &str) -> bool {
    let files = fs::read_dir(dir.join("logs")).unwrap().flatten();
    files
        .filter(|file| file.file_name().to_string_lossy().starts_with("events-"))
        .any(|file| fs::read_to_string(file.path()).unwrap().contains(kind))
}

#[test]
fn a_hanging_link_is_noticed_and_nothing_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let options = SshdOptions {
        session_lines: vec![format!("export PATH={}:$PATH", bin.display())],
        ..SshdOptions::default()
    };
    let Some(sshd) = or_skip(Sshd::start(options)) else { return };
    executable(&bin.join("agent-runner"), &format!("#!/bin/sh\nexec {AGENT} \"$@\"\n"));
    // The operator's own ssh configuration, at a place of the test's choosing.
    let (ssh, config) = (find_program("ssh").unwrap(), dir.path().join("ssh_config"));
    executable(&config, &sshd.ssh_config("pi"));
    let local = dir.path().join("local");
    fs::create_dir(&local).unwrap();
    executable(
        &local.join("ssh"),
        &format!("#!/bin/sh\nexec {} -F {} \"$@\"\n", ssh.display(), config.display()),
    );
    let here = dir.path().join("here");
    project(&here);
    let there = project(&sshd.home());
    let ended = |round_num| there.append(&Event::RoundEnd { round_num });
    ended(1);

    let path = std::env::join_paths([local, "/usr/bin".into(), "/bin".into()]).unwrap();
    let mut child = Command::new(AGENT)
        .args(["monitor", "--host", "pi", "--mode", "narrate", "--config"])
        .arg(here.join("agent-runner.toml"))
        .env_clear()
        .env("PATH", path)
        .env("HOME", dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let relay = Relay { child, lines };
    let next = || relay.lines.recv_timeout(wait::DEADLINE).unwrap();
    assert!(next().ends_with("round=1"));
    ended(2);
    assert!(next().ends_with("round=2"));

    sshd.freeze();
    ended(3);
    assert!(wait::until(wait::DEADLINE, || logged(&here, "monitor_remote_blip")), "the link counts as down");
    sshd.thaw();
    ended(4);
    // At least once: the newest event may come again.
    let mut told = Vec::new();
    while told.last().is_none_or(|line: &String| !line.ends_with("round=4")) {
        told.push(next());
    }
    assert!(told.iter().any(|line| line.ends_with("round=3")), "{told:?}");
}
