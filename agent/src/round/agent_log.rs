//! The agent's own log: opened once, written by the agent, read by us through the same file even when its name is gone.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use jiff::Timestamp;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::output;
use crate::store::layout::Layout;

/// The open log of one round.
#[derive(Debug)]
pub(super) struct AgentLog {
    /// For reading, and for handing to the agent.
    pub(super) file: File,
}

impl AgentLog {
    /// Opens the log, empty. When that is impossible (a full disk) the agent's output is lost, not the round.
    pub(super) fn open(layout: &Layout, round_num: i64, started: Timestamp) -> io::Result<AgentLog> {
        let path = layout.agent_log(round_num, started);
        match open(&path) {
            Ok(file) => Ok(AgentLog { file }),
            Err(error) => {
                output::note(&format!("R{round_num}: cannot open {}: {error}", path.display()));
                Ok(AgentLog { file: OpenOptions::new().read(true).write(true).open("/dev/null")? })
            }
        }
    }

    /// Returns a path that opens this very file, whatever has become of its name.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// Opens for appending, so that several writers, and one that truncates, do no harm; never through a link, and only what
/// is a regular file.
fn open(path: &std::path::Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    file.set_len(0)?;
    // Not blocking was for a pipe in the log's place; the agent gets an ordinary file.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok(file)
}
