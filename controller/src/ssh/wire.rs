//! The bytes below SSH: a stream that waits for its turn before the costly part, and can be cut.
//!
//! The library has no deadline on its handshake and its session task outlives a caller that
//! gave up. So each stream is wrapped: it tells when the other end first spoke, holds that first
//! word back until key exchanges are not too many, and fails when cut.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use super::limiter::Permit;

/// Any stream SSH can run over.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The other end has said nothing.
    Silent,
    /// It spoke; the key exchange waits for its turn.
    Queued,
    /// The key exchange may run.
    Started,
}

/// The permits a started connection holds until it is authenticated.
pub(super) type Permits = Vec<Permit>;

/// What gives the permits when the other end has spoken.
pub(super) type Turn = Pin<Box<dyn Future<Output = Permits> + Send>>;

/// The end of a wire that its owner holds. Dropping it cuts the wire.
#[derive(Debug)]
pub(super) struct Line {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cut: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
    phase: watch::Sender<Phase>,
    first_words: Mutex<Vec<u8>>,
    permits: Mutex<Permits>,
}

/// The stream handed to the library.
pub(super) struct Wire {
    transport: Box<dyn Transport>,
    gate: Gate,
    shared: Arc<Shared>,
}

enum Gate {
    Silent(Turn),
    Queued { held: Vec<u8>, turn: Turn },
    Open { held: Vec<u8> },
}

/// Enough for the greeting; what follows waits in the socket.
const FIRST_WORDS: usize = 256;

/// Returns the two ends of a wire over `transport`, which waits for `turn` once the other end spoke.
pub(super) fn wire(transport: Box<dyn Transport>, turn: Turn) -> (Wire, Line) {
    let shared = Arc::new(Shared {
        cut: AtomicBool::new(false),
        reader: AtomicWaker::new(),
        writer: AtomicWaker::new(),
        phase: watch::Sender::new(Phase::Silent),
        first_words: Mutex::new(Vec::new()),
        permits: Mutex::new(Vec::new()),
    });
    (Wire { transport, gate: Gate::Silent(turn), shared: Arc::clone(&shared) }, Line { shared })
}

impl Line {
    pub(super) fn phases(&self) -> watch::Receiver<Phase> {
        self.shared.phase.subscribe()
    }

    /// Lets the next connection start.
    pub(super) fn release(&self) {
        self.shared.permits.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns the first line the other end sent, if that is no SSH greeting.
    pub(super) fn complaint(&self) -> String {
        let first_words = self.shared.first_words.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&first_words);
        let line: String =
            text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(120).collect();
        if line.starts_with("SSH-") { String::new() } else { line }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.cut.store(true, Ordering::Release);
        self.release();
        self.shared.reader.wake();
        self.shared.writer.wake();
    }
}

impl Wire {
    fn check(&self) -> io::Result<()> {
        if self.shared.cut.load(Ordering::Acquire) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut by us"));
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.shared.reader.register(cx.waker());
        this.check()?;
        loop {
            match &mut this.gate {
                Gate::Silent(_) => {
                    let mut buffer = [0; FIRST_WORDS];
                    let mut first = ReadBuf::new(&mut buffer);
                    ready!(Pin::new(&mut this.transport).poll_read(cx, &mut first))?;
                    if first.filled().is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                    let held = first.filled().to_vec();
                    this.shared.first_words.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&held);
                    this.shared.phase.send_replace(Phase::Queued);
                    let next = Gate::Open { held: Vec::new() };
                    if let Gate::Silent(turn) = std::mem::replace(&mut this.gate, next) {
                        this.gate = Gate::Queued { held, turn };
                    }
                }
                Gate::Queued { held, turn } => {
                    let permits = ready!(turn.as_mut().poll(cx));
                    *this.shared.permits.lock().unwrap_or_else(PoisonError::into_inner) = permits;
                    let held = std::mem::take(held);
                    this.gate = Gate::Open { held };
                    this.shared.phase.send_replace(Phase::Started);
                }
                Gate::Open { held } if held.is_empty() => {
                    return Pin::new(&mut this.transport).poll_read(cx, out);
                }
                Gate::Open { held } => {
                    let fits = held.len().min(out.remaining());
                    out.put_slice(&held.drain(..fits).collect::<Vec<_>>());
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.writer.register(cx.waker());
        self.check()?;
        Pin::new(&mut self.transport).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.writer.register(cx.waker());
        self.check()?;
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.writer.register(cx.waker());
        self.check()?;
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;

    use super::*;

    fn pair() -> (Wire, Line, tokio::io::DuplexStream, oneshot::Sender<()>) {
        let (ours, theirs) = tokio::io::duplex(1024);
        let (go, wait) = oneshot::channel();
        let turn: Turn = Box::pin(async move {
            let _ = wait.await;
            Vec::new()
        });
        let (wire, line) = wire(Box::new(ours), turn);
        (wire, line, theirs, go)
    }

    #[tokio::test]
    async fn the_first_words_wait_for_their_turn_and_arrive_whole() {
        let (mut wire, line, mut theirs, go) = pair();
        let mut phases = line.phases();
        theirs.write_all(b"SSH-2.0-x\r\nmore").await.unwrap();
        let reader = tokio::spawn(async move {
            let mut bytes = [0; 15];
            wire.read_exact(&mut bytes).await.unwrap();
            bytes
        });
        phases.wait_for(|phase| *phase == Phase::Queued).await.unwrap();
        assert!(!reader.is_finished());
        go.send(()).unwrap();
        assert_eq!(&reader.await.unwrap(), b"SSH-2.0-x\r\nmore");
        assert_eq!(*phases.borrow(), Phase::Started);
        assert_eq!(line.complaint(), "");
    }

    #[tokio::test]
    async fn dropping_the_line_ends_a_read_that_waits() {
        let (mut wire, line, _theirs, _go) = pair();
        let reader = tokio::spawn(async move { wire.read(&mut [0; 8]).await.map_err(|e| e.kind()) });
        tokio::task::yield_now().await;
        drop(line);
        assert_eq!(reader.await.unwrap(), Err(io::ErrorKind::ConnectionAborted));
    }

    #[tokio::test]
    async fn what_is_no_greeting_is_a_complaint() {
        let (mut wire, line, mut theirs, go) = pair();
        go.send(()).unwrap();
        theirs.write_all(b"Exceeded MaxStartups\r\n").await.unwrap();
        wire.read_u8().await.unwrap();
        assert_eq!(line.complaint(), "Exceeded MaxStartups");
    }
}
