//! Runs a command to its end, with a deadline and a bounded amount of output.

use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::wait;

/// What is kept of each output, in bytes.
const OUTPUT_LIMIT: u64 = 16 * 1024 * 1024;

/// How a command ended and what it said.
#[derive(Debug, Clone)]
#[must_use]
pub struct Output {
    /// What was run, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output, broken UTF-8 replaced.
    pub stdout: String,
    /// Standard error, broken UTF-8 replaced.
    pub stderr: String,
}

impl Output {
    /// Whether it ended with 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// Its exit code; as a shell does it, 128 plus the signal that killed it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().or_else(|| self.status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
    }

    /// Standard output without the blanks around it, if the command succeeded.
    ///
    /// # Errors
    /// Any other end than 0, with everything the command said.
    pub fn checked(self) -> anyhow::Result<String> {
        anyhow::ensure!(
            self.success(),
            "`{}` ended with {}\nstdout: {}\nstderr: {}",
            self.command,
            self.status,
            self.stdout.trim(),
            self.stderr.trim()
        );
        Ok(self.stdout.trim().to_owned())
    }

    /// Standard output as JSON, a value a line.
    ///
    /// # Errors
    /// The first line that is no JSON, with everything the command said.
    pub fn json_lines(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        let parse = |line: &str| {
            serde_json::from_str(line).with_context(|| {
                format!("`{}` printed {line:?}\nstderr: {}", self.command, self.stderr.trim())
            })
        };
        self.stdout.lines().map(parse).collect()
    }
}

/// Runs a command with nothing on its standard input; its whole process group is killed at the deadline.
///
/// # Errors
/// Where it cannot be started or does not end in time.
pub fn run(command: &mut Command, deadline: Duration) -> anyhow::Result<Output> {
    use std::os::unix::process::CommandExt as _;
    let shown = shown(command);
    let end = Instant::now() + deadline;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let status = wait::value(deadline, || child.try_wait().ok().flatten());
    let left = end.saturating_duration_since(Instant::now()).max(Duration::from_secs(2));
    // A grandchild may hold the pipes open for ever: the output counts as complete only in time.
    let outputs = status.map(|status| (status, stdout.recv_timeout(left), stderr.recv_timeout(left)));
    if let Some((status, Ok(stdout), Ok(stderr))) = outputs {
        return Ok(Output { command: shown, status, stdout, stderr });
    }
    if let Ok(pid) = i32::try_from(child.id()) {
        // The group may be gone already.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = child.wait();
    let said =
        |output: mpsc::Receiver<String>| output.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    anyhow::bail!(
        "`{shown}` did not end within {deadline:?}\nstdout: {}\nstderr: {}",
        said(stdout),
        said(stderr)
    )
}

/// Runs a program with arguments, as [`run`] does, and returns its output if it succeeded.
///
/// # Errors
/// As [`run`], and any other end than 0.
pub fn checked(program: &str, arguments: &[&str], deadline: Duration) -> anyhow::Result<String> {
    run(Command::new(program).args(arguments), deadline)?.checked()
}

/// A program's path, if it is on PATH or where system programs are.
#[must_use]
pub fn find_program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(Into::into))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_absolute() && candidate.is_file())
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(OUTPUT_LIMIT).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// A command as people write it, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_killed_with_what_it_started() {
        let error =
            run(Command::new("sh").args(["-c", "sleep 1000 & sleep 1000"]), Duration::from_millis(100));
        assert!(error.unwrap_err().to_string().contains("did not end within"));
    }

    #[test]
    fn a_failure_shows_what_the_command_said() {
        let error =
            checked("sh", &["-c", "echo out; echo err >&2; exit 3"], wait::DEADLINE).unwrap_err().to_string();
        assert!(error.contains("stdout: out") && error.contains("stderr: err"), "{error}");
    }

    #[test]
    fn a_killed_command_has_the_code_of_a_shell() {
        let output = run(Command::new("sh").args(["-c", "kill -9 $$"]), wait::DEADLINE).unwrap();
        assert_eq!(output.code(), 137);
    }
}
