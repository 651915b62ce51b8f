//! The agent's own log: opened once, written by the agent, read by us through the same file even when its name is gone.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use jiff::Timestamp;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::error::in_words;
use crate::output;
use crate::store::atomic;
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
                output::note(&format!("R{round_num}: cannot open {}: {}", path.display(), in_words(&error)));
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
        atomic::make_folder(folder)?;
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::store::regular::tests::with_a_pipe_at;

    #[test]
    fn a_log_that_is_a_link_or_a_pipe_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, link, pipe) =
            (dir.path().join("victim"), dir.path().join("link"), dir.path().join("pipe"));
        atomic::replace(&victim, b"precious").unwrap();
        symlink(&victim, &link).unwrap();
        assert!(open(&link).is_err());
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        let path = pipe.clone();
        assert_eq!(with_a_pipe_at(&pipe, move || open(&path).is_err()), Some(true));
        let fresh = dir.path().join("rounds/R1.log");
        open(&fresh).unwrap().write_all(b"x").unwrap();
        assert_eq!(fs::read(&fresh).unwrap(), b"x");
    }
}
