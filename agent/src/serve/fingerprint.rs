//! The fingerprint of the files an operator watches: one hash over their paths and contents.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::glob;
use crate::sha256;
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
    matched.then(|| sha256::hex(&all.finalize()))
}

/// Returns the hash of a file's content and its size, reading one byte more than `limit` at most.
fn hash_of(path: &Path, limit: u64) -> io::Result<(String, u64)> {
    sha256::of_reader(open_regular(path)?.take(limit.saturating_add(1)))
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
        let content = sha256::of(b"one");
        assert_eq!(first, sha256::of(format!("a.md\n{content}\n")));
        atomic::replace(&dir.path().join("b.txt"), b"other").unwrap();
        assert_eq!(of(dir.path(), &patterns).as_ref(), Some(&first));
        atomic::replace(&dir.path().join("a.md"), b"two").unwrap();
        let second = of(dir.path(), &patterns).unwrap();
        std::fs::rename(dir.path().join("a.md"), dir.path().join("c.md")).unwrap();
        let third = of(dir.path(), &patterns).unwrap();
        assert!(first != second && second != third);
    }
}
