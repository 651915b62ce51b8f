//! Running a helper program (git, systemctl, a goal check) to its end, with its output: bounded in time and in size.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::{ChildStderr, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::child::{self, Child, Environment, ParentDeath, Stdin};
use super::exit_status::ExitStatus;
use super::feed::Feed;
use super::signals::StopSignal;
use super::stop::{self, Reach, StopOptions};
use super::wait::{self, Interest};

/// How long a program may take to follow TERM before KILL.
const GRACE: Duration = Duration::from_secs(3);

/// How long a grandchild may hold the pipes open after the program has ended.
const DRAIN: Duration = Duration::from_secs(3);

/// A program to run.
#[derive(Debug, Clone)]
pub struct Capture {
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// Its environment.
    pub env: Environment,
    /// What it reads.
    pub stdin: Stdin,
    /// How long it may take; then TERM, 3 s, KILL.
    pub timeout: Duration,
    /// Bytes kept of stdout and of stderr each, from the start; the rest is read and dropped.
    pub output_limit: usize,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// How the program ended.
    pub status: ExitStatus,
    /// The first bytes of stdout.
    pub stdout: Vec<u8>,
    /// The first bytes of stderr.
    pub stderr: Vec<u8>,
    /// Whether it was ended for taking too long.
    pub timed_out: bool,
    /// Whether output was dropped.
    pub truncated: bool,
}

impl Captured {
    /// Returns whether it ended with 0, in time.
    pub fn is_success(&self) -> bool {
        !self.timed_out && self.status.is_success()
    }
}

/// Runs a program in its own session and returns what it printed.
///
/// # Errors
/// When it cannot be started or waited for; a program that fails is no error.
pub fn capture(capture: Capture) -> io::Result<Captured> {
    let deadline = Instant::now() + capture.timeout;
    let mut program = start(&capture)?;
    let mut outputs = Outputs::of(&mut program, capture.output_limit)?;
    let mut timed_out = false;
    loop {
        if program.has_ended(Instant::now())? {
            break;
        }
        if Instant::now() >= deadline {
            timed_out = true;
            let options = StopOptions { first: StopSignal::Term, grace: GRACE, reach: Reach::Group };
            stop::stop_agent(&mut program, options);
            break;
        }
        let mut interests = vec![(program.pidfd(), Interest::Read)];
        interests.extend(program.stdin_pending().map(|fd| (fd, Interest::Write)));
        interests.extend(outputs.open().map(|fd| (fd, Interest::Read)));
        wait::wait_for(&interests, Some(deadline))?;
        program.push_stdin();
        outputs.read();
    }
    // The program is reaped last: until then its group's number is its own.
    outputs.drain(Instant::now() + DRAIN, &mut program)?;
    let status = program.wait_until(Instant::now() + stop::REAP)?.unwrap_or(ExitStatus::Unreaped);
    let Outputs { stdout, stderr } = outputs;
    let truncated = stdout.dropped || stderr.dropped;
    Ok(Captured { status, stdout: stdout.bytes, stderr: stderr.bytes, timed_out, truncated })
}

fn start(capture: &Capture) -> io::Result<Child> {
    let mut command = child::command(&capture.argv)?;
    let (stdin, feed) = match &capture.stdin {
        Stdin::Null => (Stdio::null(), None),
        Stdin::Bytes(bytes) => {
            let (reader, feed) = Feed::new(bytes.clone())?;
            (reader.into(), Some(feed))
        }
    };
    command.current_dir(&capture.cwd).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    capture.env.apply(&mut command);
    child::detach(&mut command, ParentDeath::Survive);
    let mut child = Child::watch(command.spawn()?)?;
    child.feed_with(feed);
    Ok(child)
}

#[derive(Debug)]
struct Outputs {
    stdout: Output<ChildStdout>,
    stderr: Output<ChildStderr>,
}

impl Outputs {
    fn of(program: &mut Child, limit: usize) -> io::Result<Outputs> {
        let (stdout, stderr) = program.take_outputs();
        Ok(Outputs { stdout: Output::new(stdout, limit)?, stderr: Output::new(stderr, limit)? })
    }

    fn open(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.stdout.pipe.iter().map(AsFd::as_fd).chain(self.stderr.pipe.iter().map(AsFd::as_fd))
    }

    fn read(&mut self) {
        self.stdout.read();
        self.stderr.read();
    }

    /// Reads to the end of both pipes. Whoever still holds them at the deadline is killed with the program's group, and
    /// what else holds them is left behind: nothing waits for ever on a pipe a grandchild holds.
    fn drain(&mut self, deadline: Instant, program: &mut Child) -> io::Result<()> {
        self.read();
        while self.open().next().is_some() {
            let fds: Vec<_> = self.open().collect();
            if Instant::now() >= deadline || wait::wait_any(&fds, Some(deadline))?.is_empty() {
                let at_once =
                    StopOptions { first: StopSignal::Term, grace: Duration::ZERO, reach: Reach::Group };
                stop::stop_agent(program, at_once);
                self.read();
                return Ok(());
            }
            self.read();
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Output<P> {
    pipe: Option<P>,
    bytes: Vec<u8>,
    limit: usize,
    dropped: bool,
}

impl<P: Read + AsFd> Output<P> {
    fn new(pipe: Option<P>, limit: usize) -> io::Result<Output<P>> {
        if let Some(pipe) = &pipe {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Output { pipe, bytes: Vec::new(), limit, dropped: false })
    }

    /// Reads what is there, at most 16 buffers, so that a flood on one pipe starves nobody.
    fn read(&mut self) {
        let mut buffer = [0; 8192];
        for _ in 0..16 {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let room = self.limit - self.bytes.len();
                    self.bytes.extend(buffer.iter().take(count.min(room)));
                    self.dropped |= count > room;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Capture {
        Capture {
            argv: ["sh", "-c", script].map(OsString::from).to_vec(),
            cwd: PathBuf::from("/"),
            env: Environment::inherited(),
            stdin: Stdin::Null,
            timeout: Duration::from_secs(60),
            output_limit: 1 << 20,
        }
    }

    #[test]
    fn returns_what_was_printed_and_the_exit_code() {
        let done = capture(sh("echo out; echo err >&2; exit 3")).unwrap();
        assert_eq!((done.stdout.as_slice(), done.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(done.status, ExitStatus::Exited(3));
        assert!(!done.timed_out && !done.truncated && !done.is_success());
        assert_eq!(capture(sh("kill -KILL $$")).unwrap().status.code(), -9);
    }

    #[test]
    fn stdin_larger_than_a_pipe_goes_through_and_may_be_ignored() {
        let bytes = vec![b'x'; 1 << 20];
        let stdin = Stdin::Bytes(bytes.clone());
        let done = capture(Capture { output_limit: 2 << 20, stdin: stdin.clone(), ..sh("cat") }).unwrap();
        assert_eq!(done.stdout, bytes);
        let ignored = capture(Capture { stdin, ..sh("exec <&-; echo done") }).unwrap();
        assert_eq!(ignored.stdout, b"done\n");
    }

    #[test]
    fn an_endless_output_is_cut_and_an_endless_program_ended() {
        let endless = Capture { timeout: Duration::from_millis(300), output_limit: 1000, ..sh("yes") };
        let done = capture(endless).unwrap();
        assert!(done.timed_out && done.truncated);
        assert_eq!(done.stdout.len(), 1000);
        assert_eq!(done.status.code(), -15);
    }

    #[test]
    fn a_program_that_ignores_term_and_stops_itself_is_killed() {
        let stubborn = "trap '' TERM; kill -STOP $$; while :; do :; done";
        let done = capture(Capture { timeout: Duration::from_millis(100), ..sh(stubborn) }).unwrap();
        assert!(done.timed_out);
        assert_eq!(done.status.code(), -9);
    }

    #[test]
    fn a_grandchild_that_holds_the_pipe_is_not_waited_for() {
        let done = capture(sh("echo early; sleep 600 &")).unwrap();
        assert_eq!(done.stdout, b"early\n");
        assert!(done.is_success());
    }

    #[test]
    fn a_grandchild_that_floods_the_pipe_is_not_waited_for() {
        let done = capture(Capture { output_limit: 10, ..sh("yes &") }).unwrap();
        assert!(done.is_success() && done.truncated);
    }

    #[test]
    fn children_start_with_default_signals_and_an_own_session() {
        let script = "grep -E 'SigBlk|SigIgn' /proc/self/status; cut -d' ' -f1,6 /proc/$$/stat";
        let done = capture(sh(script)).unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words[1], "0000000000000000", "{text}");
        // The C library keeps signals from 32 on to itself.
        assert_eq!(u64::from_str_radix(words[3], 16).unwrap() & 0x7fff_ffff, 0, "{text}");
        assert_eq!(words[4], words[5], "{text}");
    }

    #[test]
    fn a_missing_program_is_an_error_that_says_so() {
        let missing = Capture { argv: vec!["/no/such/program".into()], ..sh("") };
        assert_eq!(capture(missing).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
