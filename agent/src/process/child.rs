//! Starting a child in its own session, and waiting for it without polling.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::prctl;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{getpid, getppid, setsid};

use super::exit_status::ExitStatus;
use super::feed::Feed;
use super::{pidfd, wait};

/// What a child's environment is made of: what we have, less `remove`, then `set`, of which later entries win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Whether it starts from our own environment.
    pub inherit: bool,
    /// Added, winning over what is inherited.
    pub set: Vec<(OsString, OsString)>,
    /// Taken away from what is inherited.
    pub remove: Vec<OsString>,
}

impl Environment {
    /// Returns our own environment, unchanged.
    pub fn inherited() -> Environment {
        Environment { inherit: true, ..Environment::default() }
    }

    /// Adds a variable.
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Environment {
        self.set.push((name.into(), value.into()));
        self
    }

    /// Takes an inherited variable away.
    pub fn without(mut self, name: impl Into<OsString>) -> Environment {
        self.remove.push(name.into());
        self
    }

    pub(super) fn apply(&self, command: &mut Command) {
        if !self.inherit {
            command.env_clear();
        }
        for name in &self.remove {
            command.env_remove(name);
        }
        command.envs(self.set.iter().map(|(name, value)| (name, value)));
    }
}

/// What a child reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing: `/dev/null`.
    Null,
    /// These bytes, then the end.
    Bytes(Vec<u8>),
}

/// What happens to a child when the thread that started it ends first, however it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentDeath {
    /// It lives on.
    Survive,
    /// The kernel sends it SIGKILL.
    Kill,
}

/// A child to start.
#[derive(Debug)]
pub struct Spawn {
    /// Program and arguments. A program without a slash is searched on the child's PATH; a relative one with a
    /// slash is relative to `cwd`.
    pub argv: Vec<OsString>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// Its environment.
    pub env: Environment,
    /// What it reads.
    pub stdin: Stdin,
    /// Where its stdout and stderr go.
    pub output: File,
    /// What our death means to it.
    pub parent_death: ParentDeath,
}

/// A child in its own session, and so the leader of its own process group: its pid is also its group's.
#[derive(Debug)]
pub struct Child {
    inner: std::process::Child,
    pid: i32,
    pidfd: OwnedFd,
    feed: Option<Feed>,
    status: Option<ExitStatus>,
}

/// Starts a child. It leads a new session; its signal mask is empty and every signal has its default action, whatever
/// ours are. Nothing of ours is inherited but the three standard descriptors.
///
/// # Errors
/// `InvalidInput` for an empty `argv`; else what pipe, fork or exec returned.
pub fn spawn(spawn: Spawn) -> io::Result<Child> {
    let mut command = command(&spawn.argv)?;
    let (stdin, feed) = match spawn.stdin {
        Stdin::Null => (Stdio::null(), None),
        Stdin::Bytes(bytes) => {
            let (reader, feed) = Feed::new(bytes)?;
            (reader.into(), Some(feed))
        }
    };
    command.current_dir(&spawn.cwd).stdin(stdin).stdout(spawn.output.try_clone()?).stderr(spawn.output);
    spawn.env.apply(&mut command);
    detach(&mut command, spawn.parent_death);
    let inner = command.spawn()?;
    let mut child = Child::watch(inner)?;
    child.feed = feed;
    Ok(child)
}

impl Child {
    /// Returns the process id, which is also the id of its group and session.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Returns the descriptor that becomes readable when the child ends.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Returns the descriptor to wait on for room in the child's stdin, while there is something to write.
    pub fn stdin_pending(&self) -> Option<BorrowedFd<'_>> {
        self.feed.as_ref().and_then(Feed::pending)
    }

    /// Writes what fits into the child's stdin.
    pub fn push_stdin(&mut self) {
        if let Some(feed) = &mut self.feed {
            feed.push();
        }
    }

    /// Reaps the child if it has ended.
    ///
    /// # Errors
    /// What `waitpid` returns.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.inner.try_wait()?.map(ExitStatus::from);
        }
        Ok(self.status)
    }

    /// Returns whether the child has been reaped, so that its pid may mean another process by now.
    pub fn is_reaped(&self) -> bool {
        self.status.is_some()
    }

    /// Waits for the end without reaping: until then the pid and the group's number stay the child's.
    ///
    /// # Errors
    /// What `poll` returns.
    pub fn has_ended(&self, deadline: Instant) -> io::Result<bool> {
        if self.is_reaped() {
            return Ok(true);
        }
        Ok(!wait::wait_any(&[self.pidfd.as_fd()], Some(deadline))?.is_empty())
    }

    /// Waits for the end and reaps; `None` when the deadline passed first.
    ///
    /// # Errors
    /// What `poll` or `waitpid` returns.
    pub fn wait_until(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        if let Some(status) = self.try_wait()? {
            return Ok(Some(status));
        }
        wait::wait_any(&[self.pidfd.as_fd()], Some(deadline))?;
        self.try_wait()
    }

    pub(super) fn watch(mut inner: std::process::Child) -> io::Result<Child> {
        let opened = i32::try_from(inner.id())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
            .and_then(|pid| Ok((pid, pidfd::open(pid)?)));
        match opened {
            Ok((pid, pidfd)) => Ok(Child { inner, pid, pidfd, feed: None, status: None }),
            Err(error) => {
                // A child nobody can watch must not run on; KILL leaves nothing to wait for but the reap.
                let _ = inner.kill();
                let _ = inner.wait();
                Err(error)
            }
        }
    }

    pub(super) fn take_outputs(
        &mut self,
    ) -> (Option<std::process::ChildStdout>, Option<std::process::ChildStderr>) {
        (self.inner.stdout.take(), self.inner.stderr.take())
    }

    pub(super) fn feed_with(&mut self, feed: Option<Feed>) {
        self.feed = feed;
    }
}

pub(super) fn command(argv: &[OsString]) -> io::Result<Command> {
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "there is no command to start"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// Makes the child the leader of a session of its own, with fresh signals.
///
/// On [`ParentDeath::Kill`]: the kernel ties the signal to the *thread* that forked, so spawn from a thread that lives
/// as long as the process (our supervisors have only one). It is not passed on to the child's own children, and the
/// kernel forgets it when the child executes a set-user-id program such as `sudo`. It is therefore one net of three:
/// the Loop ends what a dead round left, and the next round looks for the agent named in the holder file.
pub(super) fn detach(command: &mut Command, parent_death: ParentDeath) {
    let parent = getpid();
    let prepare = move || -> io::Result<()> {
        setsid()?;
        // Blocked signals and ignored ones are inherited over exec; a child that ignores TERM because our own
        // caller did would climb the whole ladder for nothing.
        for signal in Signal::iterator() {
            let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
            // SAFETY: the default action runs no code of ours.
            let set = unsafe { sigaction(signal, &default) };
            // KILL and STOP cannot be set and need not be.
            let _ = set;
        }
        SigSet::empty().thread_set_mask()?;
        match parent_death {
            ParentDeath::Survive => {}
            ParentDeath::Kill => {
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                // The parent may have ended between fork and prctl; then nobody would send the signal.
                if getppid() != parent {
                    return Err(io::Error::other("the parent is gone"));
                }
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only, allocates nothing on its way to success and takes no lock, so it
    // may run between fork and exec.
    unsafe { command.pre_exec(prepare) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::signals::StopSignal;
    use crate::process::stop::{Reach, StopOptions, stop_agent};
    use crate::process::tree;
    use std::time::Duration;

    fn sh(script: &str) -> Child {
        spawn(Spawn {
            argv: ["sh", "-c", script].map(OsString::from).to_vec(),
            cwd: PathBuf::from("/"),
            env: Environment::inherited(),
            stdin: Stdin::Null,
            output: File::options().write(true).open("/dev/null").unwrap(),
            parent_death: ParentDeath::Survive,
        })
        .unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn waits_without_polling_and_remembers_the_status() {
        let mut child = sh("exit 7");
        assert_eq!(child.wait_until(soon()).unwrap(), Some(ExitStatus::Exited(7)));
        assert_eq!(child.try_wait().unwrap(), Some(ExitStatus::Exited(7)));
        let mut sleeper = sh("exec sleep 600");
        assert_eq!(sleeper.wait_until(Instant::now() + Duration::from_millis(5)).unwrap(), None);
        let options =
            StopOptions { first: StopSignal::Term, grace: Duration::from_secs(30), reach: Reach::Group };
        assert_eq!(stop_agent(&mut sleeper, options), ExitStatus::Signalled(15));
    }

    #[test]
    fn the_ladder_ends_what_ignores_term_and_what_left_the_group() {
        let script = "setsid sleep 600 & trap '' TERM INT; while :; do sleep 600; done";
        let mut child = sh(script);
        let deadline = soon();
        let stray = loop {
            let below = tree::descendants(child.pid());
            let outside = below.iter().find(|process| process.pgid != child.pid() && process.name == "sleep");
            if let Some(stray) = outside {
                break stray.clone();
            }
            assert!(Instant::now() < deadline, "{below:?}");
            std::thread::yield_now();
        };
        let options =
            StopOptions { first: StopSignal::Int, grace: Duration::from_millis(200), reach: Reach::Group };
        assert_eq!(stop_agent(&mut child, options), ExitStatus::Signalled(9));
        while stray.is_alive() {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
    }
}
