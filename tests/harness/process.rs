//! Processes by identity: a pid alone may belong to somebody else a moment later, a pid with its start
//! time may not. Nothing here signals a process whose start time is not the recorded one.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::wait;

/// One process, as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    pid: i32,
    /// Field 22 of `/proc/PID/stat`: clock ticks since the machine booted.
    start_ticks: u64,
}

impl Process {
    /// The live process with this pid, if there is one.
    #[must_use]
    pub fn find(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        Some(Self { pid, start_ticks: Stat::read(pid)?.start_ticks })
    }

    /// This process.
    ///
    /// # Errors
    /// Where `/proc` is not mounted.
    pub fn own() -> anyhow::Result<Self> {
        Self::find(std::process::id()).ok_or_else(|| anyhow::anyhow!("cannot read /proc/self/stat"))
    }

    /// Its pid.
    #[must_use]
    pub fn pid(self) -> i32 {
        self.pid
    }

    /// Whether it still runs; a zombie does not.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && stat.state != b'Z')
    }

    /// Sends a signal, if it is still the same process.
    pub fn signal(self, signal: Signal) {
        if self.is_alive() {
            // It may end between the look and the signal: then there is nothing left to do.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Every process below it, at this moment.
    #[must_use]
    pub fn descendants(self) -> Vec<Self> {
        let all: Vec<(Self, i32)> = every_process();
        let mut found = vec![self];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            next += 1;
            found.extend(all.iter().filter(|(_, ppid)| *ppid == parent.pid).map(|(process, _)| *process));
        }
        found.split_off(1)
    }
}

/// Ends processes: SIGTERM, a grace, SIGKILL, and a look whether they are gone.
#[must_use]
pub fn end(processes: &[Process], grace: Duration) -> bool {
    processes.iter().for_each(|process| process.signal(Signal::SIGTERM));
    let gone = || !processes.iter().any(|process| process.is_alive());
    if wait::until(grace, gone) {
        return true;
    }
    processes.iter().for_each(|process| process.signal(Signal::SIGKILL));
    wait::until(Duration::from_secs(10), gone)
}

/// Every live process whose environment holds this `NAME=value`: what a session left behind.
#[must_use]
pub fn with_environment(entry: &str) -> Vec<Process> {
    let holds = |process: &Process| {
        fs::read(format!("/proc/{}/environ", process.pid))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|var| var == entry.as_bytes()))
    };
    every_process().into_iter().map(|(process, _)| process).filter(holds).collect()
}

/// Every live process whose command line, environment or working folder holds this text, this one apart.
#[must_use]
pub fn mentioning(text: &str) -> Vec<Process> {
    let own = std::process::id();
    let holds = |process: &Process| {
        let folder = format!("/proc/{}", process.pid);
        let file = |name: &str| fs::read(format!("{folder}/{name}")).unwrap_or_default();
        let cwd = fs::read_link(format!("{folder}/cwd")).unwrap_or_default();
        let said = [file("cmdline"), file("environ"), cwd.into_os_string().into_encoded_bytes()];
        said.iter().any(|bytes| String::from_utf8_lossy(bytes).contains(text))
    };
    let others = every_process().into_iter().map(|(process, _)| process);
    others.filter(|process| u32::try_from(process.pid) != Ok(own)).filter(holds).collect()
}

/// Every live process with its parent's pid.
fn every_process() -> Vec<(Process, i32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| {
            let stat = Stat::read(pid).filter(|stat| stat.state != b'Z')?;
            Some((Process { pid, start_ticks: stat.start_ticks }, stat.parent))
        })
        .collect()
}

struct Stat {
    state: u8,
    parent: i32,
    start_ticks: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        // The second field is the name in parentheses and may itself hold parentheses and blanks.
        let text = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?).into_owned();
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let start_ticks = fields.nth(17)?.parse().ok()?;
        Some(Self { state, parent, start_ticks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_is_found_ended_and_seen_to_be_gone() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        assert!(Process::own().unwrap().descendants().contains(&process));
        assert!(end(&[process], Duration::from_secs(5)));
        assert!(!process.is_alive());
        child.wait().unwrap();
        assert_eq!(Process::find(child.id()), None);
    }

    #[test]
    fn a_process_is_found_by_its_environment() {
        let entry = format!("AGENT_RUNNER_TEST_MARK={}", std::process::id());
        let (name, value) = entry.split_once('=').unwrap();
        let mut child = Command::new("sleep").arg("1000").env(name, value).spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        assert!(wait::until(wait::DEADLINE, || with_environment(&entry) == [process]));
        assert!(end(&[process], Duration::from_secs(5)));
        child.wait().unwrap();
    }

    #[test]
    fn another_process_with_the_same_pid_is_never_signalled() {
        let own = Process::own().unwrap();
        let stranger = Process { start_ticks: own.start_ticks + 1, ..own };
        assert!(!stranger.is_alive());
        stranger.signal(Signal::SIGKILL);
    }
}
