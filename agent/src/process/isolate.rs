//! Running code of ours that reads foreign input in a process of its own: a crash or an endless loop in it costs its
//! result and nothing else. The release build aborts on a panic, so nothing less would contain one.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use super::exit_status::ExitStatus;
use super::{pidfd, wait};

/// Bytes kept of what a crash says.
const SAID_MAX: usize = 64 * 1024;

/// The exit code that stands for a caught panic.
const PANICKED: i32 = 101;

/// How isolated work ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Isolated {
    /// It came to its end.
    Done,
    /// It panicked or a signal ended it; `said` is what it printed to stderr.
    Crashed {
        /// How its process ended.
        status: ExitStatus,
        /// What it printed.
        said: String,
    },
    /// It took too long and was killed; `said` is what it printed to stderr.
    TimedOut {
        /// What it printed.
        said: String,
    },
}

/// Runs `work` in a copy of this process and waits for it, at most `timeout`. Only for a process with a single thread:
/// the copy has no other.
///
/// # Errors
/// When the copy cannot be made or watched.
pub fn isolate(timeout: Duration, work: impl FnOnce()) -> io::Result<Isolated> {
    let deadline = Instant::now() + timeout;
    let (mut reader, writer) = io::pipe()?;
    // SAFETY: the caller has a single thread, so no lock and no allocator state is held by a thread that the copy
    // lacks.
    let copy = match unsafe { fork() }? {
        ForkResult::Child => run_and_exit(&writer, work),
        ForkResult::Parent { child } => child,
    };
    drop(writer);
    let pidfd = pidfd::open(copy.as_raw())?;
    let mut said = Vec::new();
    let mut is_late = false;
    // The copy's stderr ends with the copy: it starts no process of its own.
    loop {
        if wait::wait_any(&[reader.as_fd()], Some(deadline))?.is_empty() {
            is_late = true;
            pidfd::signal(&pidfd, Signal::SIGKILL)?;
            break;
        }
        let mut buffer = [0; 4096];
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        said.extend(buffer.iter().take(count.min(SAID_MAX.saturating_sub(said.len()))));
    }
    let status = reap(copy);
    Ok(match status {
        ExitStatus::Exited(0) => Isolated::Done,
        ExitStatus::Exited(_) | ExitStatus::Signalled(_) | ExitStatus::Unreaped => {
            let said = String::from_utf8_lossy(&said).into_owned();
            if is_late { Isolated::TimedOut { said } } else { Isolated::Crashed { status, said } }
        }
    })
}

fn run_and_exit(stderr: &io::PipeWriter, work: impl FnOnce()) -> ! {
    // Without these the crash is only less well described, or lives as long as its parent waits.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let _ = nix::unistd::dup2_stderr(stderr);
    let code = if catch_unwind(AssertUnwindSafe(work)).is_ok() { 0 } else { PANICKED };
    // SAFETY: ends the process at once; the exit handlers belong to the original.
    unsafe { libc::_exit(code) }
}

fn reap(copy: Pid) -> ExitStatus {
    loop {
        match waitpid(copy, None) {
            Ok(WaitStatus::Exited(_, code)) => return ExitStatus::Exited(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => return ExitStatus::Signalled(signal as i32),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return ExitStatus::Unreaped,
        }
    }
}
