//! One command on one channel: feeding it, and reading everything until the channel closes.
//!
//! A channel that nobody reads stops its whole connection. So a task of its own reads each one
//! until it is closed, whatever became of those who wanted the output.

use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::error::Failed;
use super::exec::{ExitStatus, StdinEnd};
use super::session::OpenChannel;
use super::stream::Source;

/// What goes into a command.
pub(super) enum Feed {
    /// These bytes, then the end.
    Bytes(Vec<u8>, StdinEnd),
    /// What comes out of this queue, then the end.
    Queue(mpsc::Receiver<Vec<u8>>),
}

/// How a command's channel ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// It said how it ended.
    Status(ExitStatus),
    /// The channel was closed without that.
    NoStatus,
    /// The connection is gone.
    Lost,
}

/// A closed channel is confirmed within this time, or we stop waiting.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes in one write.
const CHUNK: usize = 32 * 1024;

/// Messages between the task that reads and the one that collects.
const QUEUE: usize = 16;

/// Runs `line` and hands everything it prints to `sink`.
///
/// When the future is dropped, the channel is closed and drained in the background.
pub(super) async fn run(
    open: OpenChannel,
    (line, feed): (String, Feed),
    mut sink: impl FnMut(Source, &[u8]),
) -> Result<End, Failed> {
    let (sender, mut received) = mpsc::channel::<(Source, Vec<u8>)>(QUEUE);
    // Dropped with this future: that is how the task learns that nobody is interested any more.
    let (_interest, lost_interest) = oneshot::channel();
    let forward = move |source, bytes: &[u8]| {
        let (sender, message) = (sender.clone(), (source, bytes.to_vec()));
        async move {
            // The collector is as fast as memory; if it is gone, the output is dropped.
            let _ = sender.send(message).await;
        }
    };
    let task = tokio::spawn(pump(open, (line, feed), forward, lost_interest));
    while let Some((source, bytes)) = received.recv().await {
        sink(source, &bytes);
    }
    task.await.unwrap_or(Ok(End::Lost))
}

/// Feeds and reads a channel until it is closed, or until interest is lost and the close confirmed.
pub(super) async fn pump<F: Future<Output = ()> + Send>(
    open: OpenChannel,
    (line, feed): (String, Feed),
    mut sink: impl FnMut(Source, &[u8]) -> F + Send,
    lost_interest: oneshot::Receiver<()>,
) -> Result<End, Failed> {
    let OpenChannel { channel, slot: _slot } = open;
    let (mut reader, writer) = channel.split();
    if writer.exec(true, line).await.is_err() {
        return Ok(End::Lost);
    }
    let mut end = Progress::default();
    let feeding = fill(&writer, feed);
    tokio::pin!(feeding, lost_interest);
    let mut fed = false;
    loop {
        tokio::select! {
            message = reader.wait() => match message {
                None => return end.lost(),
                Some(ChannelMsg::Close) => return end.closed(),
                Some(message) => {
                    if let Some((source, bytes)) = end.note(message)? {
                        sink(source, &bytes).await;
                    }
                }
            },
            () = &mut feeding, if !fed => fed = true,
            _ = &mut lost_interest => break,
        }
    }
    abandon(&mut reader, &writer).await;
    Ok(End::Lost)
}

/// Closes the channel and reads on until that is confirmed, so that it blocks nobody.
async fn abandon(reader: &mut ChannelReadHalf, writer: &ChannelWriteHalf<Msg>) {
    let closing = async {
        if writer.close().await.is_err() {
            return;
        }
        while let Some(message) = reader.wait().await {
            if matches!(message, ChannelMsg::Close) {
                return;
            }
        }
    };
    // After that the library drops what still comes: its receiver is gone with us.
    let _ = timeout(CLOSE_TIMEOUT, closing).await;
}

/// Sends stdin. A command that does not read it just leaves us waiting here, not in the reader.
async fn fill(writer: &ChannelWriteHalf<Msg>, feed: Feed) {
    match feed {
        Feed::Bytes(bytes, end) => {
            for chunk in bytes.chunks(CHUNK) {
                if writer.data_bytes(chunk.to_vec()).await.is_err() {
                    return;
                }
            }
            if end == StdinEnd::WithChannel {
                return std::future::pending().await;
            }
        }
        Feed::Queue(mut queue) => {
            while let Some(bytes) = queue.recv().await {
                if writer.data_bytes(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
    // An error here means the connection is gone, which the reader sees as well.
    let _ = writer.eof().await;
}

/// What a channel has told so far. Data may follow the status.
#[derive(Default)]
struct Progress {
    status: Option<ExitStatus>,
}

impl Progress {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's enum grows; nothing else matters to a command"
    )]
    fn note(&mut self, message: ChannelMsg) -> Result<Option<(Source, Vec<u8>)>, Failed> {
        match message {
            ChannelMsg::Data { data } => return Ok(Some((Source::Stdout, data.to_vec()))),
            ChannelMsg::ExtendedData { data, .. } => return Ok(Some((Source::Stderr, data.to_vec()))),
            ChannelMsg::ExitStatus { exit_status } => self.status = Some(ExitStatus::Code(exit_status)),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                self.status = Some(ExitStatus::Signal(name_of(signal_name)))
            }
            ChannelMsg::Failure => {
                return Err(Failed::Refused { reason: "it does not permit commands".to_owned() });
            }
            _ => {}
        }
        Ok(None)
    }

    fn closed(self) -> Result<End, Failed> {
        Ok(self.status.map_or(End::NoStatus, End::Status))
    }

    /// A command that said how it ended has ended, although the connection broke after that.
    fn lost(self) -> Result<End, Failed> {
        Ok(self.status.map_or(End::Lost, End::Status))
    }
}

fn name_of(signal: Sig) -> String {
    match signal {
        Sig::Custom(name) => name,
        Sig::ABRT => "ABRT".to_owned(),
        Sig::ALRM => "ALRM".to_owned(),
        Sig::FPE => "FPE".to_owned(),
        Sig::HUP => "HUP".to_owned(),
        Sig::ILL => "ILL".to_owned(),
        Sig::INT => "INT".to_owned(),
        Sig::KILL => "KILL".to_owned(),
        Sig::PIPE => "PIPE".to_owned(),
        Sig::QUIT => "QUIT".to_owned(),
        Sig::SEGV => "SEGV".to_owned(),
        Sig::TERM => "TERM".to_owned(),
        Sig::USR1 => "USR1".to_owned(),
    }
}
