//! One look at the host's memory.

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
    /// Looks now.
    pub fn take(root: &Root) -> Sample {
        let psi = pressure::read_memory(root);
        let info = memory::read(root).unwrap_or_default();
        Sample {
            some_avg10: psi.map(|psi| psi.some_avg10),
            full_avg10: psi.map(|psi| psi.full_avg10),
            swap_out_bytes: memory::swapped_out(root),
            mem_free_mb: info.free.map(|bytes| bytes / memory::MB),
            mem_available_mb: info.available.map(|bytes| bytes / memory::MB),
        }
    }
}
