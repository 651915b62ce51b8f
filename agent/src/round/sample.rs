//! What the host looks like at the start and the end of a round.

use jiff::Timestamp;

use crate::host::{self, Root};
use crate::process::stat;
use crate::store::layout::Layout;
use crate::store::metrics::Sample;
use crate::store::time;

const MB: u64 = 1 << 20;
const GB: f64 = (1u64 << 30) as f64;

/// What a sample is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About<'a> {
    /// `round_start` or `round_end`.
    pub event: &'a str,
    /// The round.
    pub round_num: i64,
    /// Its phase.
    pub phase: Option<&'a str>,
    /// The agent's binary.
    pub agent: &'a str,
}

/// Samples of one round: the second one tells how busy the processors were since the first.
#[derive(Debug, Default)]
pub struct Sampler {
    root: Root,
    ticks: Option<host::cpu::Ticks>,
}

impl Sampler {
    /// Takes a sample.
    pub fn take(&mut self, layout: &Layout, about: &About<'_>, now: Timestamp) -> Sample {
        let ticks = host::cpu::read(&self.root);
        let cpu_pct = self.ticks.zip(ticks).and_then(|(before, now)| now.busy_pct_since(before));
        self.ticks = ticks.or(self.ticks);
        let memory = host::memory::read(&self.root).unwrap_or_default();
        let psi = host::pressure::read_memory(&self.root);
        let io_psi = host::pressure::read_io(&self.root);
        let disk = host::disk::usage(layout.root()).ok();
        let load = host::load::read(&self.root);
        Sample {
            ts: time::stamp(now),
            event: about.event.to_owned(),
            mem_total_mb: megabytes(memory.total),
            mem_used_pct: rounded(memory.used_pct().unwrap_or(0.0), 1),
            mem_available_mb: megabytes(memory.available),
            mem_free_mb: megabytes(memory.free),
            swap_sout: signed(host::memory::swapped_out(&self.root).unwrap_or(0)),
            psi_some_avg10: psi.map(|psi| psi.some_avg10),
            psi_full_avg10: psi.map(|psi| psi.full_avg10),
            psi_full_total: psi.and_then(|psi| psi.full_total_us).map(signed),
            io_psi_some_avg10: io_psi.map(|psi| psi.some_avg10),
            io_psi_full_avg10: io_psi.map(|psi| psi.full_avg10),
            disk_total_gb: disk.map(|disk| rounded(gigabytes(disk.total_bytes), 1)),
            disk_free_gb: disk.map(|disk| rounded(gigabytes(disk.free_bytes), 1)),
            disk_used_pct: disk.map(|disk| rounded(disk.used_pct, 1)),
            inode_used_pct: disk.and_then(|disk| disk.inode_used_pct).map(|pct| rounded(pct, 1)),
            load_1m: load.map(|load| rounded(load.one, 2)),
            load_5m: load.map(|load| rounded(load.five, 2)),
            load_15m: load.map(|load| rounded(load.fifteen, 2)),
            cpu_pct: cpu_pct.map(|pct| rounded(pct, 1)),
            agent_process_count: i64::try_from(stat::count_named(about.agent)).unwrap_or(i64::MAX),
            round_num: about.round_num,
            phase: about.phase.map(str::to_owned),
        }
    }
}

fn megabytes(bytes: Option<u64>) -> i64 {
    signed(bytes.unwrap_or(0) / MB)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for eyes")]
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / GB
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn rounded(number: f64, digits: i32) -> f64 {
    let unit = 10f64.powi(digits);
    (number * unit).round() / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_host_fills_the_sample() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let about = About { event: "round_start", round_num: 3, phase: None, agent: "no-such-agent-cli" };
        let mut sampler = Sampler::default();
        let first = sampler.take(&layout, &about, Timestamp::now());
        assert!(first.mem_total_mb > 0 && first.disk_total_gb.is_some());
        assert_eq!((first.cpu_pct, first.agent_process_count, first.round_num), (None, 0, 3));
        assert!((rounded(1.25, 1) - 1.3).abs() < f64::EPSILON);
    }
}
