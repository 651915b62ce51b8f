//! Processes that lost their parent and came back to us: a subreaper gets what double-forked or called setsid.
//!
//! Only for a process that supervises one child at a time: everything below it is taken for a leftover.

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

/// Processes looked at in one round of waiting; more are dealt with in the next.
const AT_ONCE: usize = 256;

/// What became of the leftovers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leftovers {
    /// Every process that was found alive and signalled.
    pub found: Vec<Descendant>,
    /// Whether none is left, dead or alive.
    pub all_gone: bool,
}

/// Makes this process the parent of every orphan below it, instead of init.
///
/// # Errors
/// When the kernel refuses.
pub fn set_subreaper() -> std::io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
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

/// Ends and reaps everything below this process: TERM and CONT, `grace`, then KILL, again and again for what is started
/// meanwhile, for at most `grace` plus [`REAP`]. Call it only when no child is to be kept. Costs one system call
/// when there is nothing.
pub fn end_orphans(grace: Duration) -> Leftovers {
    let mut leftovers = Leftovers::default();
    let start = Instant::now();
    let (patience, limit) = (start + grace, start + grace + REAP);
    while reap_ended() {
        let now = Instant::now();
        if now >= limit {
            return leftovers;
        }
        let alive = tree::descendants(Pid::this().as_raw());
        for process in &alive {
            let is_new = !leftovers.found.contains(process)
                && !leftovers.found.iter().any(|found| is_same(found, process));
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
        wait_for_any(&alive, if now >= patience { limit } else { patience });
    }
    leftovers.all_gone = true;
    leftovers
}

fn is_same(one: &Descendant, other: &Descendant) -> bool {
    one.pid == other.pid && one.start_ticks == other.start_ticks
}

/// Waits until one of the processes ends. With none alive there are only zombies, which the next look reaps.
fn wait_for_any(alive: &[Descendant], deadline: Instant) {
    let fds: Vec<_> =
        alive.iter().take(AT_ONCE).filter_map(|process| pidfd::open(process.pid).ok()).collect();
    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    if !borrowed.is_empty() {
        // A failed poll means another look at once, which the caller's limit bounds.
        let _ = wait::wait_any(&borrowed, Some(deadline));
    }
}
