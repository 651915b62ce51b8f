//! `mem_signal_unavailable`: this host gives no figure from which memory pressure could be told.

use serde_json::json;

use super::{Detector, Found};
use crate::host;
use crate::witness::alert::{AutoAction, Severity};

/// The table entry.
pub(super) const DETECTOR: Detector = Detector {
    name: "mem_signal_unavailable",
    severity: Severity::Warning,
    action: AutoAction::None,
    identity: &[],
    fires: "no PSI, no swap figure and no MemFree: memory pressure cannot be seen here",
    reads: "metrics psi_some_avg10, swap_sout, mem_free_mb",
    thresholds: |_| "none".to_owned(),
    detect: |snapshot, thresholds, _| {
        let samples = &snapshot.samples;
        let Some(newest) = samples.newest.filter(|line| line.has_memory) else { return Ok(Vec::new()) };
        let previous = samples.previous.map(|line| line.memory);
        let silent = host::memory_verdict(previous.as_ref(), &newest.memory, &thresholds.memory).is_none();
        let swap_known = newest.memory.swap_out_bytes.is_some()
            && previous.is_some_and(|previous| previous.swap_out_bytes.is_some());
        let usable = newest.memory.some_avg10.is_some() || swap_known || newest.memory.mem_free_mb.is_some();
        if !silent || usable {
            return Ok(Vec::new());
        }
        let message =
            "no usable memory-pressure signal on this host (no PSI, no swap, no MemFree)".to_owned();
        Ok(vec![Found::new(message, [("mem_available_mb", json!(newest.memory.mem_available_mb))])])
    },
};

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fixture::{Fires, Story};
    use super::DETECTOR;

    fn check(lines: &[Value], fires: Fires) {
        let story = lines.iter().fold(Story::new(), |story, line| story.sample(line.clone()));
        story.check(&DETECTOR, fires);
    }

    #[test]
    fn fires_only_when_no_rung_of_the_ladder_can_see() {
        let blind =
            json!({"mem_free_mb": null, "swap_sout": null, "psi_some_avg10": null, "mem_available_mb": 9});
        check(std::slice::from_ref(&blind), Fires::Yes);
        check(&[json!({"mem_free_mb": 500, "psi_some_avg10": null})], Fires::No);
        check(&[json!({"psi_some_avg10": 0.0})], Fires::No);
        check(&[blind, json!({"swap_sout": 0})], Fires::Yes);
        check(&[json!({"swap_sout": 0}), json!({"swap_sout": 0})], Fires::No);
        check(&[json!({"disk_used_pct": 1.0})], Fires::No);
    }
}
