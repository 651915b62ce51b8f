//! Real hosts by hand: boots them and shows how to reach them, or removes what runs left.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;

use agent_runner_tests::lab::{Lab, runs};
use agent_runner_tests::skip::Unavailable;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

const USAGE: &str = "usage: lab up NUMBER | lab down\n\
    up    boots so many hosts and keeps them until Ctrl-C or `lab down`\n\
    down  removes the hosts of every run, also of those whose owner was killed\n";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["up", number] if number.parse::<usize>().is_ok_and(|number| number > 0) => {
            number.parse().map_err(anyhow::Error::from).and_then(up)
        }
        ["down"] => down(),
        _ => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn up(number: usize) -> anyhow::Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGHUP);
    signals.thread_block()?;
    let ended = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?;
    say(&format!("booting {number} hosts\n"));
    let lab = Lab::up(number).map_err(|error| match error {
        Unavailable::Missing(reason) => anyhow::anyhow!(reason),
        Unavailable::Failed(error) => error,
    })?;
    let home = lab.folder().join("home");
    let config = lab.write_ssh_config(&home)?;
    for host in lab.hosts() {
        say(&format!("{}  {}@{}\n", host.name(), host.user(), host.address()));
    }
    let first = lab.hosts().first().map_or("", |host| host.name());
    say(&format!("ssh -F {} {first}\n", config.display()));
    say(&format!("HOME={} is a home from which every host is reached by its name\n", home.display()));
    say("Ctrl-C takes them down\n");
    wait_for_end(&ended, &lab.folder())?;
    lab.down()
}

/// Returns after a signal, or when another process took the run down.
fn wait_for_end(ended: &SignalFd, folder_of_run: &Path) -> anyhow::Result<()> {
    const LOOK_EVERY_MS: u16 = 500;
    while folder_of_run.exists() {
        match poll(&mut [PollFd::new(ended.as_fd(), PollFlags::POLLIN)], LOOK_EVERY_MS) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn down() -> anyhow::Result<()> {
    for run in runs()? {
        run.down()?;
        say(&format!("removed the hosts of run {}\n", run.id()));
    }
    Ok(())
}

fn say(text: &str) {
    // Whoever reads this may have gone: the hosts stay until they are taken down.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
