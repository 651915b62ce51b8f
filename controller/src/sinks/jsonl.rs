//! A file that gets a line per message.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Appends one line, in one write, and waits for the disk.
///
/// # Errors
/// When the file cannot be opened or written, or is no regular file.
pub(super) fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}
