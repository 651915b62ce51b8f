//! A folder with each host's output in files of its own: `HOST.out` and `HOST.err`.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::ssh::Source;

/// The folder.
#[derive(Debug, Clone)]
pub struct HostFiles {
    folder: PathBuf,
}

/// The two files of a host.
#[derive(Debug)]
pub struct HostFile {
    stdout: File,
    stderr: File,
}

impl HostFiles {
    /// Makes the folder where it is missing, for this user only; one that is there stays as it is.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn at(folder: &Path) -> io::Result<HostFiles> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(HostFiles { folder: folder.to_owned() })
    }

    /// Opens a host's files; what earlier runs left in them is gone.
    ///
    /// # Errors
    /// When one cannot be opened, or is no regular file.
    pub fn open(&self, host: &str) -> io::Result<HostFile> {
        Ok(HostFile { stdout: self.file(host, "out")?, stderr: self.file(host, "err")? })
    }

    fn file(&self, host: &str, kind: &str) -> io::Result<File> {
        let path = self.folder.join(format!("{host}.{kind}"));
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .mode(0o600)
            // A link or a pipe that somebody put there is not followed and not waited for.
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(&path)
            .map_err(named)?;
        if !file.metadata().map_err(named)?.is_file() {
            return Err(named(io::Error::other("it is no regular file")));
        }
        file.set_len(0).map_err(named)?;
        Ok(file)
    }
}

impl HostFile {
    /// Appends a piece of output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, source: Source, bytes: &[u8]) -> io::Result<()> {
        match source {
            Source::Stdout => self.stdout.write_all(bytes),
            Source::Stderr => self.stderr.write_all(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn each_run_begins_anew_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let files = HostFiles::at(&dir.path().join("a/b")).unwrap();
        for text in ["a long first output\n", "short\n"] {
            files.open("pi1").unwrap().write(Source::Stdout, text.as_bytes()).unwrap();
        }
        for folder in ["a", "a/b"] {
            let mode = fs::metadata(dir.path().join(folder)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{folder}");
        }
        assert_eq!(fs::read_to_string(dir.path().join("a/b/pi1.out")).unwrap(), "short\n");
        std::os::unix::fs::symlink("/dev/null", dir.path().join("a/b/pi2.out")).unwrap();
        assert!(files.open("pi2").unwrap_err().to_string().contains("pi2.out"));
        nix::unistd::mkfifo(&dir.path().join("a/b/pi3.out"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(files.open("pi3").is_err());
    }
}
