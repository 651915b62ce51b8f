//! The processes below a process, as the kernel knows them at this instant.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nix::unistd::Pid;

use super::stat::{self, Stat};

/// The longest process name put into an event, in characters.
pub const NAME_MAX: usize = 64;

/// One live process below another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descendant {
    /// Process id.
    pub pid: i32,
    /// Process group at the time of looking.
    pub pgid: i32,
    /// The kernel's name, never its arguments, which may carry secrets.
    pub name: String,
    /// Start, in clock ticks since boot: with the pid, which process this is.
    pub start_ticks: u64,
    /// The kernel's state letter.
    pub state: char,
    /// Resident memory in pages.
    pub rss_pages: u64,
}

impl Descendant {
    /// Returns whether the pid still means this process, and it has not ended.
    pub fn is_alive(&self) -> bool {
        self.current().is_some_and(|stat| !stat.is_dead())
    }

    /// Returns whether it had ended at the time of looking.
    fn is_dead(&self) -> bool {
        stat::is_dead(self.state)
    }

    /// Returns what the kernel says of it now; `None` when it is gone or the pid was recycled.
    pub fn current(&self) -> Option<Stat> {
        Stat::read(self.pid).filter(|stat| stat.start_ticks == self.start_ticks)
    }
}

impl Descendant {
    /// Returns whether both are the same process, whatever group and state it is in.
    pub fn is_same(&self, other: &Descendant) -> bool {
        self.pid == other.pid && self.start_ticks == other.start_ticks
    }
}

impl From<Stat> for Descendant {
    fn from(stat: Stat) -> Descendant {
        Descendant {
            pid: stat.pid,
            pgid: stat.pgid,
            name: stat.name.chars().take(NAME_MAX).collect(),
            start_ticks: stat.start_ticks,
            state: stat.state,
            rss_pages: stat.rss_pages,
        }
    }
}

/// Returns every live process below `pid`, without a limit; those that only wait to be reaped are left out, but
/// not what is below them.
pub fn descendants(pid: i32) -> Vec<Descendant> {
    let mut found = below(pid, stat::all());
    found.retain(|process| !process.is_dead());
    found
}

/// Returns everything below this process, the dead included: the first thread of a process may have ended while others
/// run on.
pub(super) fn below_own() -> Vec<Descendant> {
    below(Pid::this().as_raw(), stat::all())
}

/// Returns a process's command line, NULs as blanks and bad UTF-8 replaced; empty when it is gone or a kernel thread.
/// For matching only: it may carry secrets and must never be written anywhere.
pub fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

/// Returns the name a process was called by; `None` when it is gone.
pub fn called_by(pid: i32) -> Option<PathBuf> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let name = bytes.split(|&byte| byte == 0).next().filter(|name| !name.is_empty())?;
    Some(PathBuf::from(OsString::from_vec(name.to_vec())))
}

/// Returns whether a process was started with every given variable in its environment: with that value, or with any
/// when none is given. False for a process of somebody else.
pub fn has_environment(pid: i32, wanted: &[(&str, Option<&[u8]>)]) -> bool {
    let Ok(bytes) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let variables: Vec<&[u8]> = bytes.split(|&byte| byte == 0).collect();
    wanted.iter().all(|(name, value)| {
        variables
            .iter()
            .filter_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            .any(|found| value.is_none_or(|value| found == value))
    })
}

fn below(pid: i32, processes: Vec<Stat>) -> Vec<Descendant> {
    let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
    for stat in processes {
        children.entry(stat.ppid).or_default().push(stat);
    }
    let mut found = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        // Taken out of the map, so that a torn snapshot cannot send us in circles.
        for stat in children.remove(&parent).unwrap_or_default() {
            parents.push(stat.pid);
            found.push(Descendant::from(stat));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, ppid: i32, state: char) -> Stat {
        let name = format!("p{pid}");
        Stat { pid, name, state, ppid, pgid: pid, session: pid, start_ticks: 1, rss_pages: 0 }
    }

    fn check(processes: &[(i32, i32, char)], expected: &[i32]) {
        let stats = processes.iter().map(|&(pid, ppid, state)| process(pid, ppid, state)).collect();
        let live = below(10, stats).into_iter().filter(|found| !found.is_dead());
        let mut pids: Vec<i32> = live.map(|found| found.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, expected);
    }

    #[test]
    fn finds_the_whole_tree_through_the_dead_and_survives_circles() {
        check(&[(10, 1, 'S'), (11, 10, 'S'), (12, 11, 'S'), (20, 1, 'S')], &[11, 12]);
        check(&[(11, 10, 'Z'), (12, 11, 'T')], &[12]);
        check(&[(11, 12, 'S'), (12, 11, 'S'), (10, 10, 'S')], &[10]);
        check(&[], &[]);
    }

    #[test]
    fn sees_a_real_child_with_its_command_line_and_environment() {
        let mut child =
            std::process::Command::new("sleep").arg("600").env("TREE_TEST", "yes").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(descendants(own).iter().any(|found| found.pid == pid && found.is_alive()));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while command_line(pid) != "sleep 600" && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(command_line(pid), "sleep 600");
        assert!(has_environment(pid, &[("TREE_TEST", Some(b"yes")), ("PATH", None)]));
        assert!(!has_environment(pid, &[("TREE_TEST", Some(b"ye"))]));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(command_line(pid), "");
    }
}
