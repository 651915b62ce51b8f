//! The fingerprint of the files an operator watches: one hash over their paths and contents.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::glob;
use crate::store::regular::open_regular;

/// Bytes read at most for one fingerprint.
const BYTES_MAX: u64 = 256 << 20;

/// Returns the hash over every matching file: relative path, newline, hash of its content, newline. `None` without
/// patterns, without matches, and when there is too much to read. Unreadable files are left out.
pub(super) fn of(work_dir: &Path, patterns: &[String]) -> Option<String> {
    if patterns.is_empty() {
        return None;
    }
    let files = glob::find(work_dir, patterns)?;
    let root = work_dir.canonicalize().ok()?;
    let mut left = BYTES_MAX;
    let mut all = Sha256::new();
    let mut matched = false;
    for path in &files {
        let relative = path.strip_prefix(&root).ok()?;
        let Ok((hash, size)) = hash_of(path, left) else { continue };
        left = left.checked_sub(size)?;
        matched = true;
        all.update(relative.as_os_str().as_encoded_bytes());
        all.update(b"\n");
        all.update(hash.as_bytes());
        all.update(b"\n");
    }
    matched.then(|| hex(&all.finalize()))
}

/// Returns the hash of a file's content and its size, reading one byte more than `limit` at most.
fn hash_of(path: &Path, limit: u64) -> io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let size = io::copy(&mut open_regular(path)?.take(limit.saturating_add(1)), &mut Sink(&mut hasher))?;
    Ok((hex(&hasher.finalize()), size))
}

struct Sink<'a>(&'a mut Sha256);

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::atomic;

    #[test]
    fn it_changes_with_content_and_name_and_with_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let patterns = ["*.md".to_owned()];
        assert_eq!(of(dir.path(), &[]), None);
        assert_eq!(of(dir.path(), &patterns), None);
        atomic::replace(&dir.path().join("a.md"), b"one").unwrap();
        let first = of(dir.path(), &patterns).unwrap();
        let content = hex(&Sha256::digest(b"one"));
        assert_eq!(first, hex(&Sha256::digest(format!("a.md\n{content}\n").as_bytes())));
        atomic::replace(&dir.path().join("b.txt"), b"other").unwrap();
        assert_eq!(of(dir.path(), &patterns).as_ref(), Some(&first));
        atomic::replace(&dir.path().join("a.md"), b"two").unwrap();
        let second = of(dir.path(), &patterns).unwrap();
        std::fs::rename(dir.path().join("a.md"), dir.path().join("c.md")).unwrap();
        let third = of(dir.path(), &patterns).unwrap();
        assert!(first != second && second != third);
    }
}
