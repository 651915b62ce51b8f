//! Where everything is, below the log dir.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::time;

/// The paths below one absolute log dir.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Returns the layout of a log dir, which need not exist.
    pub fn new(log_dir: impl Into<PathBuf>) -> Layout {
        Layout { root: log_dir.into() }
    }

    /// Returns the log dir itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the event file of the month of `at` (UTC).
    pub fn events_file(&self, at: Timestamp) -> PathBuf {
        self.root.join(format!("events-{}.jsonl", time::month(at)))
    }

    /// Returns the metrics file of the month of `at` (UTC).
    pub fn metrics_file(&self, at: Timestamp) -> PathBuf {
        self.root.join(format!("metrics-{}.jsonl", time::month(at)))
    }

    /// Returns the event files there are, oldest month first.
    pub fn events_files(&self) -> Vec<PathBuf> {
        self.monthly("events-")
    }

    /// Returns the metrics files there are, oldest month first.
    pub fn metrics_files(&self) -> Vec<PathBuf> {
        self.monthly("metrics-")
    }

    /// The last finished round.
    pub fn status(&self) -> PathBuf {
        self.root.join("status.json")
    }

    /// What the prompt's context block contains.
    pub fn round_context(&self) -> PathBuf {
        self.root.join("round-context.json")
    }

    /// The stashed work nobody has claimed yet.
    pub fn orphan_state(&self) -> PathBuf {
        self.root.join("orphan-state.json")
    }

    /// The agents' own logs, one per round.
    pub fn rounds_dir(&self) -> PathBuf {
        self.root.join("rounds")
    }

    /// The agent's log of one round.
    pub fn agent_log(&self, round_num: i64, started: Timestamp) -> PathBuf {
        self.rounds_dir().join(format!("R{round_num}-{}.log", time::file_stamp(started)))
    }

    /// The output of one `round` process under the Loop.
    pub fn round_log(&self, round_num: i64) -> PathBuf {
        self.root.join(format!("round-{round_num}.log"))
    }

    /// The link to the newest finished round's [`Layout::round_log`].
    pub fn round_current(&self) -> PathBuf {
        self.root.join("round-current.log")
    }

    /// The lock a round holds.
    pub fn round_lock(&self) -> PathBuf {
        self.root.join("agent-runner.lock")
    }

    /// Who holds [`Layout::round_lock`].
    pub fn round_lock_holder(&self) -> PathBuf {
        self.root.join("agent-runner.lock.holder")
    }

    /// The lock the Loop holds for its life.
    pub fn serve_lock(&self) -> PathBuf {
        self.root.join("serve.lock")
    }

    /// The sign that a monitor does the auto-stop here.
    pub fn monitor_lock(&self) -> PathBuf {
        self.root.join("monitor.lock")
    }

    /// The Loop's process id and identity.
    pub fn serve_pid(&self) -> PathBuf {
        self.root.join("serve.pid")
    }

    /// The agent's request to end the Loop.
    pub fn agent_done(&self) -> PathBuf {
        self.root.join(".agent-done")
    }

    /// The doorbell FIFOs.
    pub fn notify_dir(&self) -> PathBuf {
        self.root.join(".notify")
    }

    /// The startup battery's transient probe.
    pub fn write_probe(&self) -> PathBuf {
        self.root.join(".write_probe")
    }

    /// The scratch index of the snapshot taken before a round.
    pub fn before_index(&self) -> PathBuf {
        self.root.join(".before.index")
    }

    /// The default of `runtime.narrative_file`.
    pub fn narrative(&self) -> PathBuf {
        self.root.join("narrative.md")
    }

    fn monthly(&self, prefix: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_str().is_some_and(|name| is_monthly(name, prefix)))
            .map(|entry| entry.path())
            .collect();
        files.sort();
        files
    }
}

/// Returns whether `name` is `<prefix>YYYY-MM.jsonl`.
fn is_monthly(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".jsonl")).is_some_and(|month| {
        month.len() == 7
            && month.bytes().enumerate().all(|(i, b)| if i == 4 { b == b'-' } else { b.is_ascii_digit() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_monthly_files_count_and_the_oldest_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["events-2026-02.jsonl", "events-2025-11.jsonl", "events-2026-2.jsonl", "events-x.jsonl"]
        {
            std::fs::File::create(dir.path().join(name)).unwrap();
        }
        let layout = Layout::new(dir.path());
        let names: Vec<_> = layout
            .events_files()
            .iter()
            .map(|p| p.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["events-2025-11.jsonl", "events-2026-02.jsonl"]);
        assert!(layout.metrics_files().is_empty());
    }
}
