//! Memory and swap of the host, and the resident memory of one process.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::Root;
use super::root::read_text;

/// Bytes in the MB of every figure and key that says so.
pub const MB: u64 = 1 << 20;

/// Processes of one tree looked at, at most.
const TREE_MAX: usize = 4096;

/// The kernel's name of the page size in the auxiliary vector (`AT_PAGESZ`).
const AUX_PAGE_SIZE: u64 = 6;

/// What `/proc/meminfo` says, in bytes; a line that is missing is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemInfo {
    /// Installed memory.
    pub total: Option<u64>,
    /// Memory nobody uses.
    pub free: Option<u64>,
    /// Memory that could be had without swapping.
    pub available: Option<u64>,
    /// Swap there is.
    pub swap_total: Option<u64>,
}

impl MemInfo {
    /// Returns the share of memory that could not be had, in percent.
    pub fn used_pct(&self) -> Option<f64> {
        let total = self.total.filter(|&bytes| bytes > 0)?;
        let used = total.saturating_sub(self.available?);
        Some(used as f64 * 100.0 / total as f64)
    }
}

/// Reads `/proc/meminfo`; `None` where there is none.
pub fn read(root: &Root) -> Option<MemInfo> {
    Some(parse(&root.read("/proc/meminfo").ok()?))
}

/// Reads how many bytes have been swapped out since boot; `None` when the kernel does not count.
pub fn swapped_out(root: &Root) -> Option<u64> {
    let pages = parse_swapped_out_pages(&root.read("/proc/vmstat").ok()?)?;
    Some(pages.saturating_mul(page_bytes()))
}

/// Reads the resident memory of a process in bytes; `None` when it is gone.
pub fn resident(root: &Root, pid: i32) -> Option<u64> {
    let text = root.read(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(page_bytes()))
}

/// Sums the resident memory of a process and everything below it, in bytes; `None` when it is gone or the kernel does
/// not tell children.
pub fn tree_resident(root: &Root, pid: i32) -> Option<u64> {
    let mut total = resident(root, pid)?;
    let mut parents = vec![pid];
    let mut looked_at = 0;
    while let Some(parent) = parents.pop().filter(|_| looked_at < TREE_MAX) {
        looked_at += 1;
        for child in children(root, parent)? {
            total = total.saturating_add(resident(root, child).unwrap_or(0));
            parents.push(child);
        }
    }
    Some(total)
}

/// Returns the children of all threads of a process; none for one that has just gone.
fn children(root: &Root, pid: i32) -> Option<Vec<i32>> {
    let tasks = root.join(format!("/proc/{pid}/task"));
    let mut found = Vec::new();
    for thread in threads(&tasks, pid) {
        let listed = match read_text(&thread.join("children")) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound && thread.exists() => return None,
            Err(_) => continue,
        };
        found.extend(listed.split_ascii_whitespace().filter_map(|word| word.parse::<i32>().ok()));
    }
    Some(found)
}

/// Returns the folders of a process's threads. Most have one: the link count of the folder above (two, and one for each
/// thread) tells it for less than a listing costs.
fn threads(tasks: &Path, pid: i32) -> Vec<PathBuf> {
    if std::fs::metadata(tasks).is_ok_and(|meta| meta.nlink() == 3) {
        return vec![tasks.join(pid.to_string())];
    }
    std::fs::read_dir(tasks).into_iter().flatten().flatten().map(|thread| thread.path()).collect()
}

fn parse(text: &str) -> MemInfo {
    let mut info = MemInfo::default();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let kib = rest.split_ascii_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        let bytes = kib.map(|kib| kib.saturating_mul(1024));
        match name {
            "MemTotal" => info.total = bytes,
            "MemFree" => info.free = bytes,
            "MemAvailable" => info.available = bytes,
            "SwapTotal" => info.swap_total = bytes,
            _ => {}
        }
    }
    info
}

fn parse_swapped_out_pages(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("pswpout ")?.trim().parse().ok())
}

/// Returns this machine's page size, which the kernel hands every program in its auxiliary vector.
fn page_bytes() -> u64 {
    static PAGE: OnceLock<u64> = OnceLock::new();
    *PAGE.get_or_init(|| {
        std::fs::read("/proc/self/auxv").ok().and_then(|vector| page_size_in(&vector)).unwrap_or(4096)
    })
}

fn page_size_in(vector: &[u8]) -> Option<u64> {
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| Some(usize::from_ne_bytes(bytes.try_into().ok()?) as u64);
    vector.chunks_exact(2 * WORD).find_map(|pair| {
        let (key, value) = pair.split_at(WORD);
        (word(key)? == AUX_PAGE_SIZE).then(|| word(value)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_lines_it_knows() {
        let info = parse(
            "MemTotal:       1000 kB\nMemFree: 100 kB\nMemAvailable:  250 kB\nSwapTotal: 0 kB\nHugePages_Total: 3\n",
        );
        assert_eq!(
            info,
            MemInfo {
                total: Some(1_024_000),
                free: Some(102_400),
                available: Some(256_000),
                swap_total: Some(0)
            }
        );
        assert_eq!(info.used_pct(), Some(75.0));
        assert_eq!(parse("nonsense"), MemInfo::default());
    }

    #[test]
    fn counts_the_pages_swapped_out() {
        assert_eq!(parse_swapped_out_pages("pswpin 4\npswpout 12\n"), Some(12));
        assert_eq!(parse_swapped_out_pages("nr_free_pages 4\n"), None);
    }

    #[test]
    fn this_process_is_resident_in_whole_pages() {
        let page = page_bytes();
        assert!(page.is_power_of_two() && page >= 4096, "{page}");
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(resident(&Root::default(), own).is_some_and(|bytes| bytes > 0 && bytes % page == 0));
    }

    #[test]
    fn a_tree_is_at_least_its_root_and_its_child() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let (own, pid) = (std::process::id().try_into().unwrap(), child.id().try_into().unwrap());
        let root = Root::default();
        let tree = tree_resident(&root, own);
        let alone = tree_resident(&root, pid);
        child.kill().unwrap();
        child.wait().unwrap();
        // A kernel without the list of children tells nothing at all.
        if let (Some(tree), Some(alone)) = (tree, alone) {
            assert!(tree > alone && alone > 0);
        }
        assert_eq!(tree_resident(&Root::at("/nonexistent"), own), None);
    }

    #[test]
    fn children_are_of_every_thread() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let put = |name: &str, text: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::store::atomic::replace(&path, text.as_bytes()).unwrap();
        };
        put("/proc/7/task/7/children", "8 9 ");
        assert_eq!(children(&root, 7), Some(vec![8, 9]));
        put("/proc/7/task/70/children", "10 ");
        let mut found = children(&root, 7).unwrap();
        found.sort_unstable();
        assert_eq!(found, [8, 9, 10]);
        assert_eq!(children(&root, 6), Some(Vec::new()));
        std::fs::create_dir_all(root.join("/proc/5/task/5")).unwrap();
        assert_eq!(children(&root, 5), None);
    }
}
