//! A long command's output, line by line, through a queue that never holds up the connection.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::channel::{End, Feed, pump};
use super::error::{Failed, SshError};
use super::exec::{Exec, ExitStatus, Output};
use super::session::{OpenChannel, Session};

/// Which of a command's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of output, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it came from.
    pub source: Source,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether it was longer and lost its end.
    pub cut: bool,
}

/// A running command. Dropping it closes its channel; the command itself may run on.
#[derive(Debug)]
pub struct Stream {
    session: Session,
    queue: Arc<Queue>,
    interest: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<End, Failed>>,
    deadline: Option<std::time::Duration>,
}

/// Longer lines are cut.
const MAX_LINE: usize = 64 * 1024;

/// Lines beyond these are dropped and counted: the host's connection goes on, the reader catches up.
const MAX_LINES: usize = 4096;
const MAX_BYTES: usize = 1 << 20;

impl Stream {
    /// Returns the next line, or `None` when the command's output has ended.
    pub async fn next(&mut self) -> Option<Line> {
        loop {
            let arrived = self.queue.arrived.notified();
            {
                let mut held = self.queue.lock();
                if let Some(line) = held.lines.pop_front() {
                    held.bytes -= line.bytes.len();
                    return Some(line);
                }
                if held.ended {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// Lines dropped so far because nobody read them in time.
    pub fn dropped(&self) -> u64 {
        self.queue.lock().dropped
    }

    /// Closes the channel. What is queued can still be read.
    pub fn stop(&mut self) {
        self.interest = None;
    }

    /// Says goodbye and closes the connection under it, for all who share that.
    pub async fn cut(&self) {
        self.session.close().await;
    }

    /// Waits for the end and returns how the command ended. Lines not read by then are dropped.
    ///
    /// # Errors
    /// If it was stopped, timed out, ended without a status, or the connection was lost.
    pub async fn finish(self) -> Result<ExitStatus, SshError> {
        let end = self.task.await.unwrap_or(Ok(End::Lost));
        let output = Output::default();
        let cause = match end {
            Ok(End::Status(status)) => return Ok(status),
            Ok(End::NoStatus) => Failed::NoStatus { output },
            Ok(End::Lost) => match (self.deadline, self.queue.lock().late) {
                (Some(after), true) => Failed::Timeout { after, output },
                _ => Failed::Lost { detail: self.session.epitaph(), output },
            },
            Err(cause) => cause,
        };
        Err(SshError::failed(self.session.host(), cause))
    }
}

pub(super) async fn start(
    session: &Session,
    opening: impl Future<Output = Result<OpenChannel, Failed>>,
    exec: Exec,
) -> Result<Stream, Failed> {
    let line = exec.line()?;
    let open = opening.await?;
    let queue = Arc::new(Queue::default());
    let (interest, lost_interest) = oneshot::channel::<()>();
    let (late, lost_or_late) = oneshot::channel();
    let (filling, ending) = (Arc::clone(&queue), Arc::clone(&queue));
    let mut splitters = [Splitter::new(Source::Stdout), Splitter::new(Source::Stderr)];
    let deadline = exec.deadline;
    let task = tokio::spawn(async move {
        let sink = |source: Source, bytes: &[u8]| {
            for splitter in splitters.iter_mut().filter(|s| s.source == source) {
                splitter.take(bytes, |line| filling.push(line));
            }
            std::future::ready(())
        };
        let end = pump(open, (line, Feed::Bytes(exec.stdin, exec.stdin_end)), sink, lost_or_late).await;
        for splitter in splitters {
            splitter.end(|line| ending.push(line));
        }
        ending.end();
        end
    });
    let watched = Arc::clone(&queue);
    tokio::spawn(async move {
        // Ends with the stream: its half of `interest` is dropped, or the command's end drops the other half of `late`.
        let mut late = late;
        let expired = async {
            match deadline {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = lost_interest => {}
            () = late.closed() => {}
            () = expired => watched.lock().late = true,
        }
    });
    Ok(Stream { session: session.clone(), queue, interest: Some(interest), task, deadline })
}

#[derive(Debug, Default)]
struct Queue {
    held: Mutex<Held>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Held {
    lines: VecDeque<Line>,
    bytes: usize,
    dropped: u64,
    ended: bool,
    late: bool,
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: Line) {
        let mut held = self.lock();
        if held.lines.len() >= MAX_LINES || held.bytes + line.bytes.len() > MAX_BYTES {
            held.dropped += 1;
            return;
        }
        held.bytes += line.bytes.len();
        held.lines.push_back(line);
        drop(held);
        self.arrived.notify_one();
    }

    fn end(&self) {
        self.lock().ended = true;
        self.arrived.notify_one();
    }
}

/// Cuts bytes into lines of bounded length.
struct Splitter {
    source: Source,
    partial: Vec<u8>,
    cut: bool,
}

impl Splitter {
    fn new(source: Source) -> Self {
        Self { source, partial: Vec::new(), cut: false }
    }

    fn take(&mut self, bytes: &[u8], mut emit: impl FnMut(Line)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            let (line, after) = rest.split_at(end);
            self.add(line);
            emit(self.line());
            rest = after.get(1..).unwrap_or_default();
        }
        self.add(rest);
    }

    fn end(mut self, emit: impl FnOnce(Line)) {
        if !self.partial.is_empty() {
            emit(self.line());
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.partial.len());
        let (fits, rest) = bytes.split_at(bytes.len().min(room));
        self.partial.extend_from_slice(fits);
        self.cut |= !rest.is_empty();
    }

    fn line(&mut self) -> Line {
        Line {
            source: self.source,
            bytes: std::mem::take(&mut self.partial),
            cut: std::mem::take(&mut self.cut),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_lines_wherever_they_are_cut() {
        let mut splitter = Splitter::new(Source::Stdout);
        let mut lines = Vec::new();
        for chunk in [&b"on"[..], b"e\ntwo\n\nthr", b"ee"] {
            splitter.take(chunk, |line| lines.push(line.bytes));
        }
        splitter.end(|line| lines.push(line.bytes));
        assert_eq!(lines, [&b"one"[..], b"two", b"", b"three"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_says_so() {
        let mut splitter = Splitter::new(Source::Stdout);
        let mut lines = Vec::new();
        splitter.take(&vec![b'x'; MAX_LINE + 10], |line| lines.push(line));
        splitter.take(b"y\nz\n", |line| lines.push(line));
        assert_eq!(
            lines.iter().map(|l| (l.bytes.len(), l.cut)).collect::<Vec<_>>(),
            [(MAX_LINE, true), (1, false)]
        );
    }

    #[test]
    fn what_nobody_reads_is_dropped_and_counted() {
        let queue = Queue::default();
        for _ in 0..MAX_LINES + 7 {
            queue.push(Line { source: Source::Stdout, bytes: b"x".to_vec(), cut: false });
        }
        let held = queue.lock();
        assert_eq!((held.lines.len(), held.dropped), (MAX_LINES, 7));
    }
}
