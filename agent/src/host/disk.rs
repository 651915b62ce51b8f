//! How full a file system is.

use std::io;
use std::path::Path;

use nix::sys::statvfs::statvfs;

/// The use of the file system that holds a path, as an ordinary user sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Size in bytes.
    pub total_bytes: u64,
    /// Bytes an ordinary user can still write.
    pub free_bytes: u64,
    /// Percent of what an ordinary user can use, like `df`.
    pub used_pct: f64,
    /// Percent of the inodes; `None` for a file system that does not count them.
    pub inode_used_pct: Option<f64>,
}

/// Returns the use of the file system that holds `path`.
///
/// # Errors
/// What statvfs returned: most often that `path` does not exist.
pub fn usage(path: &Path) -> io::Result<Usage> {
    let found = statvfs(path)?;
    Ok(counted(&Counts {
        block_bytes: found.fragment_size(),
        blocks: found.blocks(),
        blocks_free: found.blocks_free(),
        blocks_available: found.blocks_available(),
        inodes: found.files(),
        inodes_free: found.files_free(),
    }))
}

struct Counts {
    block_bytes: u64,
    blocks: u64,
    blocks_free: u64,
    blocks_available: u64,
    inodes: u64,
    inodes_free: u64,
}

fn counted(counts: &Counts) -> Usage {
    let used = counts.blocks.saturating_sub(counts.blocks_free);
    Usage {
        total_bytes: counts.blocks.saturating_mul(counts.block_bytes),
        free_bytes: counts.blocks_available.saturating_mul(counts.block_bytes),
        used_pct: share(used, used.saturating_add(counts.blocks_available)).unwrap_or(0.0),
        inode_used_pct: share(counts.inodes.saturating_sub(counts.inodes_free), counts.inodes),
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_of_root_counts_as_used() {
        let counts = Counts {
            block_bytes: 4096,
            blocks: 1000,
            blocks_free: 500,
            blocks_available: 400,
            inodes: 0,
            inodes_free: 0,
        };
        let usage = counted(&counts);
        assert_eq!(usage.total_bytes, 4_096_000);
        assert_eq!(usage.free_bytes, 1_638_400);
        assert!((usage.used_pct - 55.555).abs() < 0.01);
        assert_eq!(usage.inode_used_pct, None);
    }

    #[test]
    fn the_file_system_of_a_real_path_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let usage = usage(dir.path()).unwrap();
        assert!(usage.total_bytes > 0 && (0.0..=100.0).contains(&usage.used_pct));
        assert!(super::usage(&dir.path().join("missing")).is_err());
    }
}
