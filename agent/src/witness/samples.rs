//! The host's samples: the newest two lines, and the disk's history for its growth.

use std::collections::VecDeque;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::Value;

use crate::host;
use crate::store::record::Record;

/// How many samples of the disk are kept; when they are more, every second one goes.
const HISTORY: usize = 1024;

/// The rolling state of `metrics-*.jsonl`.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// The newest line.
    pub newest: Option<HostLine>,
    /// The line before it.
    pub previous: Option<HostLine>,
    /// Lines that tell the disk's use, the newest last.
    pub disk: VecDeque<DiskSample>,
    /// The fullest disk of the project right now, as this process sees it.
    pub fullest: Option<FullDisk>,
}

/// A disk at this moment.
#[derive(Debug, Clone, PartialEq)]
pub struct FullDisk {
    /// A folder of the project on it.
    pub path: PathBuf,
    /// Percent of space in use, with one decimal.
    pub disk_pct: f64,
}

/// One line, as far as it goes: a line of another writer may lack any of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HostLine {
    /// Its memory figures.
    pub memory: host::Sample,
    /// Whether it speaks of memory pressure at all.
    pub has_memory: bool,
}

/// The disk of the log dir at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiskSample {
    /// When.
    pub at: Timestamp,
    /// Percent of space in use.
    pub disk_pct: f64,
    /// Percent of inodes in use, where the file system counts them.
    pub inode_pct: Option<f64>,
}

impl Samples {
    /// Folds the next line in; `window_s` is how far back growth is measured.
    pub fn line(&mut self, record: &Record, window_s: u64) {
        self.previous = self.newest.take();
        self.newest = Some(HostLine::of(record));
        let (Some(at), Some(disk_pct)) = (record.time(), record.float("disk_used_pct")) else { return };
        self.disk.push_back(DiskSample { at, disk_pct, inode_pct: record.float("inode_used_pct") });
        while self.disk.len() > 1 && self.disk.front().is_some_and(|first| span_s(first.at, at) > window_s) {
            self.disk.pop_front();
        }
        if self.disk.len() > HISTORY {
            let newest = self.disk.len() - 1;
            let mut index = 0;
            self.disk.retain(|_| {
                index += 1;
                index % 2 == 1 || index - 1 == newest
            });
        }
    }
}

impl HostLine {
    fn of(record: &Record) -> HostLine {
        let whole = |field: &str| record.get(field).and_then(Value::as_u64);
        let memory_fields = ["mem_free_mb", "swap_sout", "psi_some_avg10", "psi_full_avg10"];
        HostLine {
            memory: host::Sample {
                some_avg10: record.float("psi_some_avg10"),
                full_avg10: record.float("psi_full_avg10"),
                swap_out_bytes: whole("swap_sout"),
                mem_free_mb: whole("mem_free_mb"),
                mem_available_mb: whole("mem_available_mb"),
            },
            has_memory: memory_fields.iter().any(|field| record.get(field).is_some()),
        }
    }
}

/// Returns the seconds from `earlier` to `later`; 0 when the clock went back between them.
pub fn span_s(earlier: Timestamp, later: Timestamp) -> u64 {
    u64::try_from(later.duration_since(earlier).as_secs()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_bounded_and_keeps_the_oldest_and_the_newest_of_the_window() {
        let mut samples = Samples::default();
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for i in 0..5000_i64 {
            let at = crate::store::time::stamp(start + jiff::SignedDuration::from_secs(i));
            let line = format!(r#"{{"ts": "{at}", "event": "periodic", "disk_used_pct": {i}}}"#);
            samples.line(&Record::parse(line.as_bytes()).unwrap(), 4000);
        }
        assert!(samples.disk.len() <= HISTORY);
        assert_eq!(samples.disk.back().unwrap().disk_pct, 4999.0);
        let oldest = samples.disk.front().unwrap().disk_pct;
        assert!((999.0..1100.0).contains(&oldest), "{oldest}");
    }
}
