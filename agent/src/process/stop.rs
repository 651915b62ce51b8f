//! The stop ladder: how a child and everything it started comes to its end.
//!
//! 1. Record every descendant with its group, while the tree can still be walked.
//! 2. The first signal to the child's group, then CONT: a stopped process must be able to die.
//! 3. Wait for the child, up to the grace.
//! 4. KILL the group, also when the leader has ended: not yet reaped, it keeps the group's number from being reused.
//! 5. KILL what was recorded outside the group, each checked against its start time, so that no recycled pid is hit.
//! 6. Reap the child, for at most [`REAP`].
//!
//! What was started after step 1 comes back to a process that called [`set_subreaper`](super::orphans::set_subreaper).

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp};

use super::child::Child;
use super::exit_status::ExitStatus;
use super::identity::Identity;
use super::pidfd;
use super::signals::{SignalInput, StopSignal};
use super::tree::{self, Descendant};

/// How long a killed process may take to be gone; longer means it hangs in the kernel.
pub const REAP: Duration = Duration::from_secs(10);

/// How a child is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopOptions {
    /// The first signal.
    pub first: StopSignal,
    /// How long it may take to follow.
    pub grace: Duration,
    /// Whom the first signal reaches.
    pub reach: Reach,
}

/// Whom the first signal of a stop reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The child's whole process group.
    Group,
    /// The child alone, which ends its own children itself.
    Leader,
}

/// Ends a child and every process below it, and reaps the child. Returns within the grace plus [`REAP`].
pub fn stop_agent(child: &mut Child, options: StopOptions) -> ExitStatus {
    let recorded = tree::descendants(child.pid());
    signal_child(child, options.first.signal(), options.reach);
    signal_child(child, Signal::SIGCONT, options.reach);
    // A failed poll shortens the grace, nothing else.
    let _ = child.has_ended(Instant::now() + options.grace);
    signal_child(child, Signal::SIGKILL, Reach::Group);
    kill_recorded(&recorded, child.pid());
    child.wait_until(Instant::now() + REAP).ok().flatten().unwrap_or(ExitStatus::Unreaped)
}

/// Sends SIGINT to a child's group and nothing more: it may end by itself.
pub fn interrupt_group(child: &Child) {
    signal_child(child, Signal::SIGINT, Reach::Group);
}

/// Signals a child's leader alone and wakes it if it is stopped: what is below it is its own business.
pub fn signal_leader(child: &Child, signal: SignalInput) {
    signal_child(child, signal.signal(), Reach::Leader);
    signal_child(child, Signal::SIGCONT, Reach::Leader);
}

/// Kills a child's group and everything recorded below it, without reaping.
pub fn kill_tree(child: &Child, recorded: &[Descendant]) {
    signal_child(child, Signal::SIGKILL, Reach::Group);
    kill_recorded(recorded, child.pid());
}

/// Asks what a child leaves in its group to end, and reaps the child, which has ended by itself.
pub fn reap_leader(child: &mut Child) -> ExitStatus {
    signal_child(child, Signal::SIGTERM, Reach::Group);
    signal_child(child, Signal::SIGCONT, Reach::Group);
    child.wait_until(Instant::now() + REAP).ok().flatten().unwrap_or(ExitStatus::Unreaped)
}

/// Kills every recorded process that still is the one that was recorded. One that kept its recorded group, which is
/// neither ours nor the child's, takes that group with it.
pub fn kill_recorded(recorded: &[Descendant], child_group: i32) {
    let own = getpgrp().as_raw();
    for stray in recorded {
        let Some(current) = stray.current() else { continue };
        if current.pgid == stray.pgid && stray.pgid > 1 && stray.pgid != own && stray.pgid != child_group {
            // A group that has just ended is what we want.
            let _ = killpg(Pid::from_raw(stray.pgid), Signal::SIGKILL);
        }
        signal_exactly(stray, Signal::SIGKILL);
    }
}

/// Signals one recorded process and nobody who got its pid later.
pub(super) fn signal_exactly(process: &Descendant, signal: Signal) {
    // The descriptor pins the process: the check after opening it cannot go stale.
    let Ok(fd) = pidfd::open(process.pid) else { return };
    if process.current().is_some() {
        // It may end right now, which is what we want.
        let _ = pidfd::signal(&fd, signal);
    }
}

/// Whose a process must be that is signalled by a record of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Anybody's: the record is our own.
    Anybody,
    /// This user's: the record is theirs, and it may name whom it likes.
    Of(u32),
}

impl Whose {
    /// Returns whether a process is of those.
    pub fn owns(self, pid: i32) -> bool {
        match self {
            Whose::Anybody => true,
            Whose::Of(uid) => real_uid(pid) == Some(uid),
        }
    }
}

/// Signals the process that a record means and nobody who got its pid later; one that is gone needs no signal.
///
/// # Errors
/// `PermissionDenied` when it is not one of `whose`, without signalling it; else what the kernel returned.
pub fn signal_recorded(to: Identity, whose: Whose, signal: Signal) -> io::Result<()> {
    // The descriptor pins the process: the checks after opening it cannot go stale.
    let fd = match pidfd::open(to.pid) {
        Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => return Ok(()),
        opened => opened,
    };
    if to.is_gone() {
        return Ok(());
    }
    if !whose.owns(to.pid) {
        let text = format!("process {} belongs to somebody else", to.pid);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    let sent = match fd {
        Ok(fd) => pidfd::signal(&fd, signal),
        // An old kernel or a filter: the pid has to do.
        Err(_) => kill(Pid::from_raw(to.pid), signal).map_err(io::Error::from),
    };
    match sent {
        Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => Ok(()),
        sent => sent,
    }
}

/// Returns the user who may signal a process without being root.
fn real_uid(pid: i32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Signals a child that is not reaped yet, or its group. Does nothing once it is reaped: the number may mean somebody
/// else.
fn signal_child(child: &Child, signal: Signal, reach: Reach) {
    if child.is_reaped() {
        return;
    }
    let pid = Pid::from_raw(child.pid());
    // A child that has just ended is what we want.
    let _ = match reach {
        Reach::Group => killpg(pid, signal),
        Reach::Leader => kill(pid, signal),
    };
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_the_recorded_process_of_the_right_user_is_signalled() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let identity = Identity::of(i32::try_from(child.id()).unwrap()).unwrap();
        let uid = nix::unistd::getuid().as_raw();
        let refused = signal_recorded(identity, Whose::Of(uid + 1), Signal::SIGKILL).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        let older = Identity { create_time: identity.create_time.map(|at| at - 60.0), ..identity };
        signal_recorded(older, Whose::Anybody, Signal::SIGKILL).unwrap();
        assert_eq!(child.try_wait().unwrap(), None, "neither may have reached it");
        signal_recorded(identity, Whose::Of(uid), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        signal_recorded(identity, Whose::Anybody, Signal::SIGKILL).unwrap();
    }
}
