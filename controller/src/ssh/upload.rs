//! Putting a file on a host: sent over one command's stdin, verified there, renamed into place.
//!
//! `cat` over a channel moves several times what SFTP does on a long link, and needs no server
//! for it. What is sent goes beside the target; nothing is visible before it is whole.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::channel::{self, End, Feed};
use super::error::Failed;
use super::exec::{Exec, ExitStatus};
use super::quote::quote;
use super::session::Session;
use super::stream::Source;
use crate::failpoint::Step;

/// A file to put on a host.
#[derive(Debug, Clone)]
pub struct Upload {
    /// What to send.
    pub payload: Payload,
    /// Where to: an absolute path, or one below the user's home. Missing folders are made.
    pub path: String,
    /// Its permissions, whatever the umask is.
    pub mode: u32,
    /// The SHA-256 of the (decompressed) content, in lower-case hex.
    pub sha256: String,
    /// Time without progress after which the upload is given up.
    pub stall: Duration,
}

/// Where the bytes come from.
#[derive(Debug, Clone)]
pub enum Payload {
    /// From memory.
    Bytes(Arc<[u8]>),
    /// From memory, compressed with gzip; sent as it is where the host has gzip, unpacked on the way where not.
    Gzip(Arc<[u8]>),
    /// From a local file, read as it is sent.
    File(PathBuf),
}

/// Bytes read and sent at a time; with the queue, all the memory an upload of any size takes.
const CHUNK: usize = 64 * 1024;
const QUEUE: usize = 4;

/// What the host prints when it is ready.
const WITH_GZIP: &[u8] = b"gzip\n";

/// Kept of what the host says.
const REPORT: usize = 4096;

impl Upload {
    /// Returns an upload that is given up after 30 s without progress.
    pub fn new(payload: Payload, path: impl Into<String>, sha256: impl Into<String>) -> Self {
        Self {
            payload,
            path: path.into(),
            mode: 0o644,
            sha256: sha256.into(),
            stall: Duration::from_secs(30),
        }
    }

    /// Sets the permissions.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the time without progress after which the upload is given up.
    #[must_use]
    pub fn stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// What the host runs, with a trap for the pipe that is closed when nobody hears it complain any more: removes what uploads of the same file left whose process is gone (a power cut), says how it
    /// wants the bytes, takes them, verifies, renames.
    fn script(&self) -> String {
        let receive = match self.payload {
            Payload::Gzip(_) => {
                "if command -v gzip >/dev/null 2>&1; then echo gzip; gzip -dc >\"$t\"; else echo plain; cat >\"$t\"; fi"
            }
            Payload::Bytes(_) | Payload::File(_) => "echo plain; cat >\"$t\"",
        };
        format!(
            "d={path}\n\
             umask 077\n\
             case $d in */*) mkdir -p -- \"${{d%/*}}/\" || exit 1;; esac\n\
             if [ -L \"$d\" ] || {{ [ -e \"$d\" ] && [ ! -f \"$d\" ]; }}; then echo \"it exists and is no regular file\" >&2; exit 1; fi\n\
             for o in \"$d\".upload.*; do\n\
               p=${{o##*.}}\n\
               case $p in ''|*[!0-9]*) continue;; esac\n\
               if [ -f \"$o\" ] && ! kill -0 \"$p\" 2>/dev/null; then rm -f -- \"$o\"; fi\n\
             done\n\
             t=$d.upload.$$\n\
             trap 'rm -f -- \"$t\"' EXIT\n\
             trap 'exit 1' HUP INT TERM PIPE\n\
             rm -f -- \"$t\"\n\
             {receive} || {{ echo \"it could not be stored\" >&2; exit 1; }}\n\
             if command -v sha256sum >/dev/null 2>&1; then s=$(sha256sum <\"$t\")\n\
             elif command -v shasum >/dev/null 2>&1; then s=$(shasum -a 256 <\"$t\")\n\
             elif command -v openssl >/dev/null 2>&1; then s=$(openssl dgst -sha256 -r <\"$t\")\n\
             else echo \"the host has no sha256sum, shasum or openssl to verify it\" >&2; exit 1; fi\n\
             s=${{s%% *}}\n\
             [ \"$s\" = {sha256} ] || {{ echo \"what arrived has another checksum: $s\" >&2; exit 1; }}\n\
             chmod {mode:o} \"$t\" || exit 1\n\
             mv -fT -- \"$t\" \"$d\" 2>/dev/null || {{ [ ! -d \"$d\" ] && mv -f -- \"$t\" \"$d\"; }} || {{ echo \"it could not be renamed\" >&2; exit 1; }}\n",
            path = quote(&self.path),
            sha256 = quote(&self.sha256),
            mode = self.mode,
        )
    }
}

pub(super) async fn run(session: &Session, upload: Upload) -> Result<(), Failed> {
    let failed = |reason: String| Failed::Upload { path: upload.path.clone(), reason };
    if upload.path.is_empty() || upload.path.starts_with('-') || upload.path.ends_with('/') {
        return Err(failed("it is no path of a file".to_owned()));
    }
    let line = Exec::command(upload.script()).line()?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (feed, queue) = mpsc::channel(QUEUE);
    let (ready, wanted) = oneshot::channel();
    let progress = Progress::new();
    let open = timeout(upload.stall, session.open_channel());
    let open = open.await.map_err(|_| failed("the host grants no channel".to_owned()))??;
    let (end, sent) = {
        let (stdout, stderr, moved) = (&mut stdout, &mut stderr, &progress);
        let mut ready = Some(ready);
        let sink = move |source, bytes: &[u8]| {
            moved.made(0);
            let report: &mut Vec<u8> = match source {
                Source::Stdout => stdout,
                Source::Stderr => stderr,
            };
            let room = REPORT.saturating_sub(report.len());
            report.extend(bytes.iter().take(room));
            if source == Source::Stdout
                && report.ends_with(b"\n")
                && let Some(ready) = ready.take()
            {
                // The other side is the sender below, which lives as long as this.
                let takes = if report.as_slice() == WITH_GZIP { Takes::Packed } else { Takes::Plain };
                let _ = ready.send(takes);
            }
        };
        let running = channel::run(open, (line, Feed::Queue(queue)), sink);
        let sending = async {
            // Moved in, so that its end is the end of the host's input: cut short, the checksum is wrong there.
            let feed = feed;
            let Ok(takes) = wanted.await else { return Ok(()) };
            send(&upload.payload, takes, (&feed, &progress), session.host()).await
        };
        let both = async { tokio::join!(running, sending) };
        tokio::pin!(both);
        loop {
            tokio::select! {
                done = &mut both => break done,
                () = sleep_until(progress.last() + upload.stall) => {
                    if progress.last() + upload.stall <= Instant::now() {
                        return Err(Failed::Stalled { path: upload.path.clone(), after: upload.stall, sent: progress.sent() });
                    }
                }
            }
        }
    };
    sent?;
    match end? {
        End::Status(ExitStatus::Code(0)) => Ok(()),
        End::Status(status) => {
            let said = String::from_utf8_lossy(&stderr);
            let said = said.trim();
            Err(failed(if said.is_empty() {
                format!("it ended with {status}")
            } else {
                said.replace('\n', "; ")
            }))
        }
        End::NoStatus => Err(failed("it ended without an exit status".to_owned())),
        End::Lost => Err(failed(format!("the connection was lost{}", session.epitaph()))),
    }
}

/// What the host wants to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Packed,
    Plain,
}

async fn send(
    payload: &Payload,
    takes: Takes,
    (feed, progress): (&mpsc::Sender<Vec<u8>>, &Progress),
    host: &str,
) -> Result<(), Failed> {
    let (bytes, packed) = match payload {
        Payload::Bytes(bytes) => (bytes, false),
        Payload::Gzip(bytes) => (bytes, takes == Takes::Plain),
        Payload::File(path) => return send_file(path, (feed, progress)).await,
    };
    if !packed {
        let chunks = bytes.chunks(CHUNK);
        let half = chunks.len() / 2;
        for (number, chunk) in chunks.enumerate() {
            if number == half {
                Step::HalfSent.reach(host).await;
            }
            if !push(chunk.to_vec(), (feed, progress)).await {
                return Ok(());
            }
        }
        return Ok(());
    }
    let mut unpacked = GzDecoder::new(&bytes[..]);
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let room = u64::try_from(CHUNK).unwrap_or(u64::MAX);
        let read = (&mut unpacked).take(room).read_to_end(&mut chunk);
        let read =
            read.map_err(|source| Failed::Payload { path: PathBuf::from("(packed content)"), source })?;
        if read == 0 || !push(chunk, (feed, progress)).await {
            return Ok(());
        }
    }
}

async fn send_file(path: &PathBuf, to: (&mpsc::Sender<Vec<u8>>, &Progress)) -> Result<(), Failed> {
    use tokio::io::AsyncReadExt as _;
    let failed = |source| Failed::Payload { path: path.clone(), source };
    let mut file = tokio::fs::File::open(path).await.map_err(failed)?;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let room = u64::try_from(CHUNK).unwrap_or(u64::MAX);
        if (&mut file).take(room).read_to_end(&mut chunk).await.map_err(failed)? == 0 {
            return Ok(());
        }
        if !push(chunk, to).await {
            return Ok(());
        }
    }
}

/// Whether the host still takes anything.
async fn push(chunk: Vec<u8>, (feed, progress): (&mpsc::Sender<Vec<u8>>, &Progress)) -> bool {
    let length = chunk.len();
    let taken = feed.send(chunk).await.is_ok();
    progress.made(u64::try_from(length).unwrap_or(0));
    taken
}

/// When something last moved, and how much has.
struct Progress {
    state: std::sync::Mutex<(Instant, u64)>,
}

impl Progress {
    fn new() -> Self {
        Self { state: std::sync::Mutex::new((Instant::now(), 0)) }
    }

    fn made(&self, bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *state = (Instant::now(), state.1 + bytes);
    }

    fn last(&self) -> Instant {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    fn sent(&self) -> u64 {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).1
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_file_of_whatever_name_lands_below_that_name_and_nothing_else_does(
            name in r"(\$\(id\)|`id`|'|\x22|\\|\n|;|&|\||\*|\?|~|#|!|-|=| |\t|é|語|[a-z]){1,16}"
        ) {
            let folder = tempfile::tempdir().unwrap();
            let name = format!("x{name}");
            let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
            let upload = Upload::new(Payload::Bytes(b"hello".to_vec().into()), format!("a b/{name}"), sha256);
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &upload.script()]).current_dir(folder.path());
            let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            shell.stdin.take().unwrap().write_all(b"hello").unwrap();
            prop_assert!(shell.wait().unwrap().success());
            let found: Vec<_> = std::fs::read_dir(folder.path().join("a b")).unwrap().collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(std::fs::read(folder.path().join("a b").join(&name)).unwrap(), b"hello");
        }
    }

    #[test]
    fn nothing_is_left_of_an_upload_whose_controller_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let upload = Upload::new(Payload::Bytes(b"hello".to_vec().into()), "agent", sha256);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &upload.script()]).current_dir(folder.path());
        let mut shell =
            shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // Nobody reads its complaint that the content is cut short.
        drop(shell.stderr.take());
        shell.stdin.take().unwrap().write_all(b"hel").unwrap();
        assert!(!shell.wait().unwrap().success());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_power_cut_left_of_an_upload_goes_and_one_at_work_stays() {
        let folder = tempfile::tempdir().unwrap();
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        // Beyond the largest process id there is.
        let (stale, at_work) = ("agent.upload.4194305", format!("agent.upload.{}", std::process::id()));
        for name in [stale, &at_work, "agent.upload.mine", "other.upload.4194305"] {
            std::fs::File::create(folder.path().join(name)).unwrap().write_all(b"hel").unwrap();
        }
        let upload = Upload::new(Payload::Bytes(b"hello".to_vec().into()), "agent", sha256);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &upload.script()]).current_dir(folder.path());
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(b"hello").unwrap();
        assert!(shell.wait().unwrap().success());
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut found: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        let mut expected = ["agent", "agent.upload.mine", &at_work, "other.upload.4194305"];
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}
