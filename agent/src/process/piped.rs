//! A program whose lines are read while it runs (ssh with something at its other end), its complaints kept apart.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::child::{self, Child, Environment, ParentDeath};
use super::exit_status::ExitStatus;
use super::signals::StopSignal;
use super::stop::{self, Reach, StopOptions};

/// Bytes a line may have; a longer one is dropped.
const LINE_MAX: usize = 2 << 20;
/// Bytes kept of the end of stderr.
const COMPLAINT_MAX: usize = 8 * 1024;
/// Buffers read in one turn, so that a flood starves nobody.
const TURNS: usize = 16;

/// A running program. Its stdin stays open as long as this value lives.
#[derive(Debug)]
pub struct Piped {
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    line: Vec<u8>,
    complaint: Vec<u8>,
    _stdin: Option<ChildStdin>,
}

impl Piped {
    /// Starts a program in a session of its own; it ends with us.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(argv: &[OsString], cwd: &Path, env: &Environment) -> io::Result<Piped> {
        let mut command = child::command(argv)?;
        command.current_dir(cwd).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        env.apply(&mut command);
        child::detach(&mut command, ParentDeath::Kill);
        let mut inner = command.spawn()?;
        let stdin = inner.stdin.take();
        let mut child = Child::watch(inner)?;
        let (stdout, stderr) = child.take_outputs();
        for pipe in [stdout.as_ref().map(AsFd::as_fd), stderr.as_ref().map(AsFd::as_fd)].into_iter().flatten()
        {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Piped { child, stdout, stderr, line: Vec::new(), complaint: Vec::new(), _stdin: stdin })
    }

    /// Returns the descriptors that become readable when there is something to do.
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let outputs = [self.stdout.as_ref().map(AsFd::as_fd), self.stderr.as_ref().map(AsFd::as_fd)];
        outputs.into_iter().flatten().chain([self.child.pidfd()]).collect()
    }

    /// Hands every new whole line of stdout to `each` and keeps the end of stderr. Never waits.
    pub fn read(&mut self, mut each: impl FnMut(&[u8])) {
        let mut buffer = [0; 8192];
        for _ in 0..TURNS {
            let Some(count) = take(&mut self.stderr, &mut buffer) else { break };
            self.complaint.extend_from_slice(buffer.get(..count).unwrap_or_default());
            let extra = self.complaint.len().saturating_sub(COMPLAINT_MAX);
            self.complaint.drain(..extra);
        }
        for _ in 0..TURNS {
            let Some(count) = take(&mut self.stdout, &mut buffer) else { break };
            for piece in buffer.get(..count).unwrap_or_default().split_inclusive(|&byte| byte == b'\n') {
                if self.line.len() <= LINE_MAX {
                    self.line.extend_from_slice(piece);
                }
                if piece.last() == Some(&b'\n') {
                    let line = std::mem::take(&mut self.line);
                    if let Some(line) = line.strip_suffix(b"\n") {
                        each(line);
                    }
                }
            }
        }
    }

    /// Returns whether nothing more will come: stdout is at its end, or the program has ended and all of it is read.
    pub fn is_over(&self) -> bool {
        self.stdout.is_none() || self.child.has_ended(std::time::Instant::now()).unwrap_or(true)
    }

    /// Returns the last lines of stderr.
    pub fn complaint(&self, lines: usize) -> String {
        let text = String::from_utf8_lossy(&self.complaint);
        let mut last: Vec<&str> = text.lines().rev().take(lines).collect();
        last.reverse();
        last.join("\n")
    }

    /// Ends the program and whatever it started: TERM, the grace, KILL.
    pub fn end(&mut self, grace: Duration) -> ExitStatus {
        stop::stop_agent(&mut self.child, StopOptions { first: StopSignal::Term, grace, reach: Reach::Group })
    }
}

/// Reads what is there; `None` when that is nothing. A pipe at its end is closed.
fn take<P: Read>(pipe: &mut Option<P>, buffer: &mut [u8]) -> Option<usize> {
    match pipe.as_mut()?.read(buffer) {
        Ok(0) => {
            *pipe = None;
            None
        }
        Ok(count) => Some(count),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Some(0),
        Err(_) => {
            *pipe = None;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::wait;
    use std::time::Instant;

    fn sh(script: &str) -> Piped {
        let argv = ["sh", "-c", script].map(OsString::from);
        Piped::start(&argv, Path::new("/"), &Environment::inherited()).unwrap()
    }

    fn lines(program: &mut Piped, count: usize) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut lines = Vec::new();
        loop {
            let over = program.is_over();
            program.read(|line| lines.push(String::from_utf8(line.to_vec()).unwrap()));
            if over || lines.len() >= count {
                return lines;
            }
            assert!(Instant::now() < deadline, "{lines:?}");
            wait::wait_any(&program.descriptors(), Some(deadline)).unwrap();
        }
    }

    #[test]
    fn lines_come_as_they_are_said_and_complaints_stay_apart() {
        let mut program = sh("echo one; echo two; echo bad >&2; printf torn; exec sleep 600");
        assert_eq!(lines(&mut program, 2), ["one", "two"]);
        assert_eq!(program.end(Duration::from_secs(30)), ExitStatus::Signalled(15));
        let mut program = sh("seq 30 >&2; exit 4");
        assert!(lines(&mut program, 1).is_empty());
        assert_eq!(program.complaint(2), "29\n30");
        assert_eq!(program.end(Duration::ZERO), ExitStatus::Exited(4));
    }

    #[test]
    fn an_endless_line_is_dropped_and_the_next_one_is_whole() {
        let mut program = sh("head -c 3000000 /dev/zero; echo; echo next; exec sleep 600");
        let found = lines(&mut program, 1);
        assert!(found.iter().all(|line| line.len() <= LINE_MAX), "{}", found.len());
        let next = if found.iter().any(|line| line == "next") { found } else { lines(&mut program, 1) };
        assert_eq!(next.last().map(String::as_str), Some("next"));
        program.end(Duration::ZERO);
    }
}
