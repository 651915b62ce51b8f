//! A file that gets a line per message.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use agent_runner::store::regular;
use nix::fcntl::OFlag;

/// Appends one line and waits for the disk. What a failed attempt has written of it is taken back, and what a crash has
/// left of one stays a line of its own: a line that is sent again is whole.
///
/// # Errors
/// When the file cannot be opened or written, or is no regular file.
pub(super) fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut how = OpenOptions::new();
    how.create(true).append(true).mode(0o600).custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits());
    let (file, readable) = match how.read(true).open(path) {
        // Whose file it is may let others only append.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => (how.read(false).open(path)?, false),
        opened => (opened?, true),
    };
    let file = regular::insist(file)?;
    let before = file.metadata()?.len();
    let text = if readable && ends_amid_a_line(&file, before)? {
        format!("\n{line}\n")
    } else {
        format!("{line}\n")
    };
    let mut written = 0;
    let done = write(&file, text.as_bytes(), &mut written).and_then(|()| file.sync_data());
    if let Err(error) = done {
        // Unless another program has written behind it meanwhile: the next line then begins a new one all the same.
        if file.metadata().is_ok_and(|meta| meta.len() == before + written) {
            // A file that may only grow keeps the half line; what matters is why it is half.
            let _ = file.set_len(before);
        }
        return Err(error);
    }
    Ok(())
}

fn ends_amid_a_line(file: &File, len: u64) -> io::Result<bool> {
    let Some(last) = len.checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}

/// Writes all of it, and counts what is written also where that fails.
fn write(mut file: &File, mut bytes: &[u8], written: &mut u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                *written += count as u64;
                bytes = bytes.get(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    /// Names the file for the test's own process in which files cannot grow.
    const FULL: &str = "AGENT_RUNNER_TEST_FULL_FILE";

    #[test]
    fn a_line_that_found_the_disk_full_is_whole_when_it_is_sent_again() {
        let message = |number: u32| format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(400));
        if let Some(path) = std::env::var_os(FULL) {
            let error = append(Path::new(&path), &message(2)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.jsonl");
        append(&path, &message(1)).unwrap();
        // A file of this process may have one block of 512 or 1024 bytes, and the signal that says so is ignored.
        let name = "sinks::jsonl::tests::a_line_that_found_the_disk_full_is_whole_when_it_is_sent_again";
        let output = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(FULL, &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", message(1)), "the half is gone");
        append(&path, &message(2)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n{}\n", message(1), message(2)));
    }

    #[test]
    fn what_a_crash_has_left_of_a_line_takes_no_other_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.jsonl");
        agent_runner::store::atomic::replace(&path, b"{\"number\":1}\n{\"numb").unwrap();
        append(&path, "{\"number\":2}").unwrap();
        append(&path, "{\"number\":3}").unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "{\"number\":1}\n{\"numb\n{\"number\":2}\n{\"number\":3}\n"
        );
    }

    #[test]
    fn a_pipe_in_its_place_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        mkfifo(&path, Mode::from_bits_truncate(0o600)).unwrap();
        let (said, heard) = mpsc::channel();
        std::thread::spawn(move || said.send(append(&path, "{}")));
        let error = heard.recv_timeout(Duration::from_secs(30)).unwrap().unwrap_err();
        assert_eq!(error.to_string(), "not a regular file");
    }
}
