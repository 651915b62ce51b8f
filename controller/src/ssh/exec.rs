//! Running a command to its end: what to run, within which bounds, and what came out.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use super::channel::{self, End, Feed};
use super::error::Failed;
use super::quote::{login_shell_line, quote_all};
use super::session::{OpenChannel, Session};
use super::stream::Source;

/// A command for `/bin/sh`, whatever the user's login shell is.
#[derive(Clone)]
pub struct Exec {
    /// What `/bin/sh` runs.
    pub script: String,
    /// What it reads.
    pub stdin: Vec<u8>,
    /// What comes after that.
    pub stdin_end: StdinEnd,
    /// How long it may take, from the wish to the last byte.
    pub deadline: Option<Duration>,
    /// Bytes kept of stdout, and as many of stderr; the rest is read and dropped.
    pub output_limit: usize,
}

/// When a command's stdin ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdinEnd {
    /// As soon as everything was sent.
    AtOnce,
    /// With the channel: a command that watches its stdin learns that way that nobody listens any more.
    WithChannel,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitStatus {
    /// With this code.
    Code(u32),
    /// By this signal, named without `SIG`.
    Signal(String),
}

/// What a command printed and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// How it ended; `Code(0)` in the output that an error carries, where it has not.
    pub status: ExitStatus,
    /// The beginning of its stdout.
    pub stdout: Vec<u8>,
    /// The beginning of its stderr.
    pub stderr: Vec<u8>,
    /// Whether anything was dropped.
    pub truncated: bool,
}

/// Kept of each stream unless told otherwise: enough for any report, harmless times a thousand hosts.
const OUTPUT_LIMIT: usize = 1 << 20;

/// Linux takes no argument longer than 128 KiB; the rest is left for the escapes and the shells' own words.
const MAX_LINE: usize = 120 * 1024;

impl Exec {
    /// Returns a command given as shell text. Its stdin is free.
    pub fn command(script: impl Into<String>) -> Self {
        Self {
            script: script.into(),
            stdin: Vec::new(),
            stdin_end: StdinEnd::AtOnce,
            deadline: Some(Duration::from_secs(60)),
            output_limit: OUTPUT_LIMIT,
        }
    }

    /// Returns a command given as a program and its arguments, none of which is interpreted.
    pub fn argv<S: AsRef<str>>(arguments: &[S]) -> Self {
        Self::command(format!("exec {}", quote_all(arguments)))
    }

    /// Returns a script of any length, which travels on stdin; what it runs reads nothing.
    ///
    /// The braces make the shell read all of it before it runs any, so a script cut off on the way does nothing.
    pub fn script(text: &str) -> Self {
        Self::command("exec /bin/sh -s").stdin(format!("{{\n{text}\n}} </dev/null\n"))
    }

    /// Sets what the command reads.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Keeps stdin open until the channel closes.
    #[must_use]
    pub fn hold_stdin(mut self) -> Self {
        self.stdin_end = StdinEnd::WithChannel;
        self
    }

    /// Sets how long the command may take; `None` leaves only the keepalive to end it.
    #[must_use]
    pub fn deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how many bytes of each stream are kept.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Returns the line for sshd.
    pub(super) fn line(&self) -> Result<String, Failed> {
        let line = login_shell_line(&self.script);
        let line = line.ok_or(Failed::Unsendable { reason: "it holds a NUL byte" })?;
        if line.len() > MAX_LINE {
            return Err(Failed::Unsendable {
                reason: "it is longer than an argument may be; send it as a script",
            });
        }
        Ok(line)
    }
}

impl Output {
    /// Whether the command ended with exit code 0.
    pub fn success(&self) -> bool {
        self.status == ExitStatus::Code(0)
    }

    fn keep(&mut self, source: Source, bytes: &[u8], limit: usize) {
        let kept = match source {
            Source::Stdout => &mut self.stdout,
            Source::Stderr => &mut self.stderr,
        };
        let room = limit.saturating_sub(kept.len());
        let (fits, rest) = bytes.split_at(bytes.len().min(room));
        kept.extend_from_slice(fits);
        self.truncated |= !rest.is_empty();
    }
}

/// Runs `exec` to its end on the channel that `opening` gives; `seen` gets every piece of output as it comes, also what is beyond the limit.
pub(super) async fn run(
    session: &Session,
    opening: impl Future<Output = Result<OpenChannel, Failed>>,
    exec: Exec,
    mut seen: impl FnMut(Source, &[u8]),
) -> Result<Output, Failed> {
    let line = exec.line()?;
    let mut output = Output::default();
    let limit = exec.output_limit;
    let running = async {
        let open = opening.await?;
        channel::run(open, (line, Feed::Bytes(exec.stdin, exec.stdin_end)), |source, bytes| {
            seen(source, bytes);
            output.keep(source, bytes, limit);
        })
        .await
    };
    let end = match exec.deadline {
        None => running.await,
        Some(after) => match timeout(after, running).await {
            Ok(end) => end,
            Err(_) => return Err(Failed::Timeout { after, output }),
        },
    };
    match end? {
        End::Status(status) => Ok(Output { status, ..output }),
        End::NoStatus => Err(Failed::NoStatus { output }),
        End::Lost => Err(Failed::Lost { detail: session.epitaph(), output }),
    }
}

impl Default for ExitStatus {
    fn default() -> Self {
        Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(name) => write!(f, "signal {name}"),
        }
    }
}

/// stdin may hold secrets: its length is all that is shown.
impl fmt::Debug for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exec")
            .field("script", &self.script)
            .field("stdin_bytes", &self.stdin.len())
            .field("deadline", &self.deadline)
            .field("output_limit", &self.output_limit)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_keeps_the_beginning_of_each_stream() {
        let mut output = Output::default();
        output.keep(Source::Stdout, b"abc", 4);
        output.keep(Source::Stderr, b"x", 4);
        assert!(!output.truncated);
        output.keep(Source::Stdout, b"def", 4);
        assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"abcd"[..], &b"x"[..]));
        assert!(output.truncated);
    }

    #[test]
    fn what_no_shell_can_take_is_refused_here() {
        assert!(Exec::command("a\0").line().is_err());
        assert!(Exec::command("x".repeat(MAX_LINE)).line().is_err());
        assert_eq!(Exec::argv(&["ls", "a b"]).line().unwrap().matches("/bin/sh").count(), 1);
    }
}
