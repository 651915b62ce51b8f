//! `metrics-YYYY-MM.jsonl`: what the host looked like at the start and the end of every round.

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::backward::Lines;
use super::event_log::append_line;
use super::layout::Layout;
use super::record::LINE_MAX;
use super::{json, time};

/// One sample. MB are 1024², GB 1024³; what the host does not tell is null.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// When it was taken.
    pub ts: String,
    /// `round_start`, `round_end` or `periodic`.
    pub event: String,
    /// Memory of the host.
    pub mem_total_mb: i64,
    /// Share of it in use, in percent with one decimal.
    pub mem_used_pct: f64,
    /// MemAvailable.
    pub mem_available_mb: i64,
    /// MemFree.
    pub mem_free_mb: i64,
    /// Bytes swapped out since boot.
    pub swap_sout: i64,
    /// Memory pressure: avg10 of the "some" line.
    pub psi_some_avg10: Option<f64>,
    /// Memory pressure: avg10 of the "full" line.
    pub psi_full_avg10: Option<f64>,
    /// Memory pressure: total of the "full" line, in microseconds.
    pub psi_full_total: Option<i64>,
    /// I/O pressure: avg10 of the "some" line.
    pub io_psi_some_avg10: Option<f64>,
    /// I/O pressure: avg10 of the "full" line.
    pub io_psi_full_avg10: Option<f64>,
    /// Size of the partition holding the log dir.
    pub disk_total_gb: Option<f64>,
    /// Free space of it.
    pub disk_free_gb: Option<f64>,
    /// Share of it in use, in percent with one decimal.
    pub disk_used_pct: Option<f64>,
    /// Share of its inodes in use; null where there is no such count.
    pub inode_used_pct: Option<f64>,
    /// Load average over a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_1m: Option<f64>,
    /// Load average over five minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_5m: Option<f64>,
    /// Load average over a quarter of an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_15m: Option<f64>,
    /// Busy share of all processors since the previous sample of this round; null in the first.
    pub cpu_pct: Option<f64>,
    /// Processes on the host whose exact name is the agent's.
    pub agent_process_count: i64,
    /// The round.
    pub round_num: i64,
    /// Its phase, with phases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

impl Sample {
    /// Returns when it was taken.
    pub fn time(&self) -> Option<Timestamp> {
        time::parse(&self.ts)
    }
}

/// Appends a sample to the file of the month of `at`.
///
/// # Errors
/// What opening or writing returned.
pub fn append(layout: &Layout, sample: &Sample, at: Timestamp) -> io::Result<()> {
    let mut line = json::line(sample)?;
    line.push(b'\n');
    append_line(&layout.metrics_file(at), &line)
}

/// Returns the newest sample.
pub fn newest(layout: &Layout) -> Option<Sample> {
    newest_first(layout).next()
}

/// Returns at most `count` samples, the newest first.
pub fn newest_n(layout: &Layout, count: usize) -> Vec<Sample> {
    newest_first(layout).take(count).collect()
}

/// Returns the samples from the newest on, read only as far as asked; damaged lines are skipped.
pub fn newest_first(layout: &Layout) -> impl Iterator<Item = Sample> {
    Lines::new(layout.metrics_files()).filter_map(|line| {
        if line.len() > LINE_MAX {
            return None;
        }
        serde_json::from_slice(&line).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_sample_is_found_behind_damage() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        assert_eq!(newest(&layout), None);
        let at: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        for round_num in 1..=3 {
            let sample = Sample { round_num, ts: time::stamp(at), ..Sample::default() };
            append(&layout, &sample, at).unwrap();
        }
        append_line(&layout.metrics_file(at), b"{\"ts\": \"torn").unwrap();
        assert_eq!(newest(&layout).unwrap().round_num, 3);
        assert_eq!(newest_n(&layout, 2).iter().map(|s| s.round_num).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(newest(&layout).unwrap().time(), Some(at));
    }

    #[test]
    fn a_line_of_the_python_program_reads() {
        let line = r#"{"ts": "2026-01-01T00:00:00.000Z", "event": "round_end", "mem_total_mb": 7940, "mem_used_pct": 20.1, "psi_some_avg10": null, "cpu_pct": 0.0, "disk_used_pct": 55.5, "round_num": 9}"#;
        let sample: Sample = serde_json::from_str(line).unwrap();
        assert_eq!((sample.round_num, sample.disk_used_pct, sample.psi_some_avg10), (9, Some(55.5), None));
    }
}
