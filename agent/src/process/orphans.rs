//! Processes that nobody watches any more: what came back to us as subreaper, and what a dead supervisor left behind.
//!
//! As a parent, only for a process that supervises one child at a time: everything below it is taken for a leftover.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::stop::{REAP, signal_exactly};
use super::tree::{self, Descendant};
use super::{pidfd, wait};

/// Processes waited for at once; more are dealt with after these.
const AT_ONCE: usize = 256;

/// How soon to look again when there is nothing to wait on.
const TICK: Duration = Duration::from_millis(10);

/// What became of the leftovers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leftovers {
    /// Every process that was found and signalled.
    pub found: Vec<Descendant>,
    /// Whether none is left.
    pub all_gone: bool,
}

/// Makes this process the parent of every orphan below it, instead of init, and returns whether that is known here at
/// all: an emulator of another machine may not, and then what leaves its session ends with the unit's cgroup only.
///
/// # Errors
/// When the kernel refuses.
pub fn set_subreaper() -> std::io::Result<bool> {
    match prctl::set_child_subreaper(true) {
        Ok(()) => Ok(true),
        Err(Errno::EINVAL) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Reaps children that have ended, without waiting; returns whether any child is left.
pub fn reap_ended() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return true,
            Err(Errno::ECHILD) => return false,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return true,
        }
    }
}

/// Ends and reaps everything below this process. Call it only when no child is to be kept. Costs one system call when
/// there is nothing; returns within the grace plus [`REAP`].
pub fn end_orphans(grace: Duration) -> Leftovers {
    end_all(grace, || if reap_ended() { Search::Found(tree::below_own()) } else { Search::Done })
}

/// Ends what `find` finds, although it is not below this process; `find` must not name this process.
pub fn end_strays(grace: Duration, find: impl Fn() -> Vec<Descendant>) -> Leftovers {
    end_all(grace, || {
        let found: Vec<Descendant> = find().into_iter().filter(Descendant::is_alive).collect();
        if found.is_empty() { Search::Done } else { Search::Found(found) }
    })
}

enum Search {
    Done,
    Found(Vec<Descendant>),
}

/// TERM and CONT to everything that is found, then, after `grace`, KILL, again and again for what is started meanwhile.
fn end_all(grace: Duration, find: impl Fn() -> Search) -> Leftovers {
    let mut leftovers = Leftovers::default();
    let patience = Instant::now() + grace;
    let limit = patience + REAP;
    while let Search::Found(processes) = find() {
        let now = Instant::now();
        if now >= limit {
            return leftovers;
        }
        for process in &processes {
            let is_new = !leftovers.found.iter().any(|found| found.is_same(process));
            if now >= patience {
                signal_exactly(process, Signal::SIGKILL);
            } else if is_new {
                signal_exactly(process, Signal::SIGTERM);
                signal_exactly(process, Signal::SIGCONT);
            }
            if is_new {
                leftovers.found.push(process.clone());
            }
        }
        wait_for_any(&processes, if now >= patience { limit } else { patience });
    }
    leftovers.all_gone = true;
    leftovers
}

/// Waits until one of the processes ends.
fn wait_for_any(processes: &[Descendant], deadline: Instant) {
    let alive = processes.iter().filter(|process| process.is_alive()).take(AT_ONCE);
    let fds: Vec<_> = alive.filter_map(|process| pidfd::open(process.pid).ok()).collect();
    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let deadline = if borrowed.is_empty() { deadline.min(Instant::now() + TICK) } else { deadline };
    // A failed poll means another look at once, which the caller's limit bounds.
    let _ = wait::wait_any(&borrowed, Some(deadline));
}

/// Returns this process and its ancestors, which no search for strays may name.
pub fn own_lineage() -> Vec<i32> {
    let mut lineage = vec![Pid::this().as_raw()];
    while let Some(stat) = lineage.last().and_then(|&pid| super::stat::Stat::read(pid)) {
        if stat.ppid <= 0 || lineage.contains(&stat.ppid) {
            break;
        }
        lineage.push(stat.ppid);
    }
    lineage
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn strays_that_ignore_term_are_killed() {
        let script = "trap '' TERM; while :; do sleep 1; done";
        let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let find = || {
            let below = tree::descendants(Pid::this().as_raw());
            below.into_iter().filter(|process| process.pid == pid).collect()
        };
        let leftovers = end_strays(Duration::from_millis(100), find);
        assert!(leftovers.all_gone);
        assert_eq!(leftovers.found.len(), 1);
        child.wait().unwrap();
    }

    #[test]
    fn the_lineage_starts_with_this_process_and_ends() {
        let lineage = own_lineage();
        assert_eq!(lineage[0], Pid::this().as_raw());
        assert!(lineage.len() > 1);
    }
}
