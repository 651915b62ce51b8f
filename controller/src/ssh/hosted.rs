//! The commands a throw-away server runs: their pipes, their end, and that none survives.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// The place where commands run, and those that do.
#[derive(Debug)]
pub(super) struct Hosted {
    home: PathBuf,
    environment: Vec<(String, String)>,
    /// Marks everything started here, however it detaches itself.
    mark: String,
    /// Leaders of process groups that have not been reaped.
    groups: Mutex<HashSet<i32>>,
}

/// A command and the channel it belongs to.
pub(super) struct HostedCommand {
    pub(super) child: Child,
    pub(super) channel: Channel<Msg>,
    pub(super) handle: Handle,
}

const MARK: &str = "AGENT_RUNNER_THROWAWAY_HOST";

/// Bytes in one read.
const CHUNK: usize = 32 * 1024;

/// Messages held for a command that does not read. Past that the whole connection waits.
const STDIN_QUEUE: usize = 1024;

/// What was killed must be gone in this time.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

impl Hosted {
    pub(super) fn new(home: PathBuf, environment: Vec<(String, String)>) -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        let mark = format!("{:016x}-{}", RandomState::new().hash_one(0_u8), std::process::id());
        Self { home, environment, mark, groups: Mutex::default() }
    }

    /// Starts a command in a process group of its own, with nothing of our environment.
    pub(super) fn spawn(&self, command: &[u8]) -> io::Result<Child> {
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg(OsStr::from_bytes(command))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs(self.environment.iter().cloned())
            .env("HOME", &self.home)
            .env(MARK, &self.mark)
            .current_dir(&self.home)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()) {
            self.groups().insert(group);
        }
        Ok(child)
    }

    /// Moves bytes between a command and its channel until it has ended, then says how.
    ///
    /// As with sshd, the channel stays open while anything holds the command's output open.
    pub(super) async fn attend(&self, command: HostedCommand) {
        let HostedCommand { mut child, channel, handle } = command;
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        let id = channel.id();
        let (reader, writer) = channel.split();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (queue, queued) = mpsc::channel(STDIN_QUEUE);
        let feeding = tokio::spawn(feed(stdin, queued));
        let output = async {
            tokio::join!(forward(stdout, (&writer, None)), forward(stderr, (&writer, Some(1))));
        };
        let mut receiving = std::pin::pin!(receive(reader, queue));
        tokio::select! {
            () = output => {}
            // The other side closed the channel: the command goes on without its pipes.
            () = &mut receiving => {}
        }
        // Until here the leader is not reaped, so nobody else can have its group's number.
        let status = child.wait().await;
        if let Some(group) = group {
            self.groups().remove(&group);
        }
        feeding.abort();
        if let Ok(status) = status {
            // Errors mean that nobody is there any more to be told.
            let _ = match status_of(status) {
                Ok(code) => writer.exit_status(code).await.map_err(drop),
                Err(signal) => {
                    handle.exit_signal_request(id, signal, false, String::new(), String::new()).await
                }
            };
        }
        let _ = writer.eof().await;
        let _ = writer.close().await;
    }

    /// Kills everything that was started here, and waits until it is gone.
    pub(super) async fn kill_all(&self) -> io::Result<()> {
        let deadline = Instant::now() + KILL_TIMEOUT;
        loop {
            let groups: Vec<i32> = self.groups().iter().copied().collect();
            for group in &groups {
                // It may have ended by itself just now.
                let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
            }
            let marked = self.marked_processes()?;
            for process in &marked {
                let _ = kill(*process, Signal::SIGKILL);
            }
            if groups.is_empty() && marked.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("processes {marked:?} survive")));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Processes that carry our mark. A zombie has no environment and is not among them.
    fn marked_processes(&self) -> io::Result<Vec<Pid>> {
        let mark = format!("{MARK}={}", self.mark);
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let Ok(pid) = entry?.file_name().to_string_lossy().parse::<i32>() else { continue };
            // It may be gone or another user's.
            let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { continue };
            if environment.split(|b| *b == 0).any(|variable| variable == mark.as_bytes()) {
                found.push(Pid::from_raw(pid));
            }
        }
        Ok(found)
    }

    fn groups(&self) -> std::sync::MutexGuard<'_, HashSet<i32>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes what the other side sends, and its end.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum grows; nothing else is input")]
async fn receive(mut reader: ChannelReadHalf, queue: mpsc::Sender<Vec<u8>>) {
    let mut queue = Some(queue);
    while let Some(message) = reader.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                if let Some(queue) = &queue {
                    // The command may have closed its stdin: the bytes are dropped then.
                    let _ = queue.send(data.to_vec()).await;
                }
            }
            ChannelMsg::Eof => queue = None,
            ChannelMsg::Close => return,
            _ => {}
        }
    }
}

async fn feed(stdin: Option<ChildStdin>, mut queued: mpsc::Receiver<Vec<u8>>) {
    let Some(mut stdin) = stdin else { return };
    while let Some(bytes) = queued.recv().await {
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn forward(
    pipe: Option<impl AsyncRead + Unpin>,
    (writer, extension): (&ChannelWriteHalf<Msg>, Option<u32>),
) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        // Waits for the other side's window.
        let sent = match extension {
            None => writer.data_bytes(bytes).await,
            Some(code) => writer.extended_data_bytes(code, bytes).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

fn status_of(status: ExitStatus) -> Result<u32, Sig> {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ok(u32::try_from(code).unwrap_or(255)),
        (None, Some(signal)) => Err(Signal::try_from(signal).map_or_else(
            |_| Sig::Custom(signal.to_string()),
            |signal| Sig::Custom(signal.as_str().trim_start_matches("SIG").to_owned()),
        )),
        (None, None) => Ok(255),
    }
}
