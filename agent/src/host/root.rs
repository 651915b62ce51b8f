//! The root below which /proc and /sys are read, so that a test can bring its own host.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// More than any of the kernel's files read here holds.
const FILE_MAX: u64 = 1 << 20;

/// The host's root folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    path: PathBuf,
}

impl Default for Root {
    fn default() -> Root {
        Root::at("/")
    }
}

impl Root {
    /// Returns a root other than `/`.
    pub fn at(path: impl Into<PathBuf>) -> Root {
        Root { path: path.into() }
    }

    /// Returns where a path below the root really is; a leading slash does not escape it.
    pub fn join(&self, below: impl AsRef<Path>) -> PathBuf {
        let below = below.as_ref();
        self.path.join(below.strip_prefix("/").unwrap_or(below))
    }

    /// Reads a small text file below the root; bad UTF-8 is replaced, what is beyond 1 MiB is left out.
    ///
    /// # Errors
    /// What opening or reading returned.
    pub fn read(&self, below: impl AsRef<Path>) -> io::Result<String> {
        read_text(&self.join(below))
    }
}

/// Reads a small text file; bad UTF-8 is replaced, what is beyond 1 MiB is left out.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    // The kernel's files have no size; one buffer that holds most of them saves reads.
    let mut bytes = Vec::with_capacity(8192);
    File::open(path)?.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_path_stays_below_the_root() {
        assert_eq!(Root::at("/tmp/host").join("/proc/meminfo"), Path::new("/tmp/host/proc/meminfo"));
        assert_eq!(Root::default().join("proc/stat"), Path::new("/proc/stat"));
    }
}
