//! One look at the host's memory: no more of it than the verdict asks for, because it is taken every ten seconds.

use super::{Root, memory, pressure};

/// What the pressure ladder judges; a figure the host does not give is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// Percent of the last ten seconds in which some task waited for memory.
    pub some_avg10: Option<f64>,
    /// Percent of the last ten seconds in which every task waited for memory.
    pub full_avg10: Option<f64>,
    /// Bytes swapped out since boot.
    pub swap_out_bytes: Option<u64>,
    /// MemFree in whole MB.
    pub mem_free_mb: Option<u64>,
    /// MemAvailable in whole MB.
    pub mem_available_mb: Option<u64>,
}

impl Sample {
    /// Looks now. Stall time decides alone: where it can be read, the rest is left out.
    pub fn take(root: &Root) -> Sample {
        if let Some(psi) = pressure::read_memory(root) {
            let (some_avg10, full_avg10) = (Some(psi.some_avg10), Some(psi.full_avg10));
            return Sample { some_avg10, full_avg10, ..Sample::default() };
        }
        let info = memory::read(root).unwrap_or_default();
        Sample {
            swap_out_bytes: memory::swapped_out(root),
            mem_free_mb: info.free.map(|bytes| bytes / memory::MB),
            mem_available_mb: info.available.map(|bytes| bytes / memory::MB),
            ..Sample::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::atomic;

    #[test]
    fn where_stall_time_is_told_nothing_else_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let put = |name: &str, text: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            atomic::replace(&path, text.as_bytes()).unwrap();
        };
        put("/proc/meminfo", "MemFree: 2048 kB\nMemAvailable: 4096 kB\n");
        put("/proc/vmstat", "pswpout 1\n");
        let without = Sample::take(&root);
        assert_eq!(
            (without.some_avg10, without.mem_free_mb, without.mem_available_mb),
            (None, Some(2), Some(4))
        );
        assert!(without.swap_out_bytes.is_some());
        put("/proc/pressure/memory", "some avg10=1.50 avg60=0 avg300=0 total=9\n");
        let told = Sample { some_avg10: Some(1.5), full_avg10: Some(0.0), ..Sample::default() };
        assert_eq!(Sample::take(&root), told);
    }
}
