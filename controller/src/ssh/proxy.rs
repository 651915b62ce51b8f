//! The way to a host through a command: its pipes are the connection, its last words the reason when it fails.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, Join, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::error::Unreachable;
use super::wire::Transport;

/// What is kept of what a command prints to stderr, in bytes.
const WORDS_MAX: usize = 2048;
/// Characters of its last line that are shown.
const SHOWN_MAX: usize = 200;
/// How long a command that has closed its stdout may take to have said why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a proxy command says on stderr, told when it is over.
pub(super) struct Words {
    command: String,
    heard: JoinHandle<Vec<u8>>,
}

/// Starts a proxy command, whose stdin and stdout are the connection.
pub(super) fn start(command: &str) -> Result<(Box<dyn Transport>, Words), Unreachable> {
    let failed = |source| Unreachable::ProxyCommand { command: command.to_owned(), source };
    // As ssh does it, so that no shell lingers; one who writes `exec` himself is meant the same.
    let bare = command.trim_start();
    let bare = bare.strip_prefix("exec ").unwrap_or(bare);
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("exec {bare}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (Some(stdout), Some(stdin), Some(stderr)) =
        (child.stdout.take(), child.stdin.take(), child.stderr.take())
    else {
        return Err(failed(io::Error::other("it has no stdin, stdout or stderr")));
    };
    let words = Words { command: command.to_owned(), heard: tokio::spawn(hear(stderr)) };
    Ok((Box::new(ProxyStream { pipes: tokio::io::join(stdout, stdin), _child: child }), words))
}

impl Words {
    /// Returns why there is no connection: what the command said last, where it said anything.
    pub(super) async fn explain(self, cause: Unreachable) -> Unreachable {
        let heard = match timeout(LAST_WORDS, self.heard).await {
            Ok(Ok(heard)) => heard,
            Ok(Err(_)) | Err(_) => return cause,
        };
        let heard = String::from_utf8_lossy(&heard).into_owned();
        let Some(last) = heard.lines().rev().map(str::trim).find(|line| !line.is_empty()) else {
            return cause;
        };
        let said = last.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_MAX).collect();
        Unreachable::ProxyEnded { command: self.command, said }
    }
}

/// Reads to the end, so that the command never waits for us, and keeps the end of it.
async fn hear(mut stderr: ChildStderr) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 512];
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        kept.extend(buffer.iter().take(count));
        let surplus = kept.len().saturating_sub(WORDS_MAX);
        kept.drain(..surplus);
    }
    kept
}

/// The pipes of a proxy command, which ends with them.
struct ProxyStream {
    pipes: Join<ChildStdout, ChildStdin>,
    _child: Child,
}

impl AsyncRead for ProxyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipes).poll_read(cx, out)
    }
}

impl AsyncWrite for ProxyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipes).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipes).poll_shutdown(cx)
    }
}
