//! `mem_pressure`: the memory ladder reports pressure. Never stops the service: the Loop has its own gate and floor.

use super::{Detector, Found};
use crate::host;
use crate::witness::alert::{AutoAction, Severity};

/// The table entry.
pub(super) const DETECTOR: Detector = Detector {
    name: "mem_pressure",
    severity: Severity::Critical,
    action: AutoAction::None,
    identity: &[],
    fires: "memory stalls, swaps out or runs low",
    reads: "metrics psi_some_avg10, psi_full_avg10, swap_sout, mem_free_mb, mem_available_mb",
    thresholds: |thresholds| {
        let memory = &thresholds.memory;
        format!(
            "psi full {} %, some {} %; swap-out {} MiB; free {} MB and available {} MB",
            memory.full_avg10_critical,
            memory.some_avg10_warning,
            memory.swap_out_noise_floor_mb,
            memory.free_low_mb,
            memory.avail_min_mb
        )
    },
    detect: |snapshot, thresholds, _| {
        let samples = &snapshot.samples;
        let Some(newest) = samples.newest.filter(|line| line.has_memory) else { return Ok(Vec::new()) };
        let previous = samples.previous.map(|line| line.memory);
        let Some(pressure) = host::memory_verdict(previous.as_ref(), &newest.memory, &thresholds.memory)
        else {
            return Ok(Vec::new());
        };
        let severity = match pressure.severity {
            host::Severity::Warning => Severity::Warning,
            host::Severity::Critical => Severity::Critical,
        };
        Ok(vec![Found::new(pressure.message, []).with_context(pressure.context).with_severity(severity)])
    },
};

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fixture::Story;
    use super::DETECTOR;
    use crate::witness::alert::Severity;

    fn check(lines: &[Value], expected: Option<Severity>) {
        let story = lines.iter().fold(Story::new(), |story, line| story.sample(line.clone()));
        let alert = story.alert(&DETECTOR);
        assert_eq!(alert.map(|alert| alert.severity), expected, "{lines:?}");
    }

    fn psi(some: f64, full: f64) -> Value {
        json!({"psi_some_avg10": some, "psi_full_avg10": full, "mem_free_mb": 1})
    }

    #[test]
    fn stall_time_warns_and_is_critical_from_its_thresholds_on() {
        check(&[psi(4.9, 0.0)], None);
        check(&[psi(5.0, 0.0)], Some(Severity::Warning));
        check(&[psi(80.0, 59.9)], Some(Severity::Warning));
        check(&[psi(80.0, 60.0)], Some(Severity::Critical));
    }

    #[test]
    fn swapping_out_counts_between_two_lines() {
        let swap =
            |bytes: u64, free: u64| json!({"psi_some_avg10": null, "swap_sout": bytes, "mem_free_mb": free});
        let floor = 32 * 1024 * 1024;
        check(&[swap(0, 500)], None);
        check(&[swap(0, 500), swap(floor, 500)], None);
        check(&[swap(0, 500), swap(floor + 1, 500)], Some(Severity::Warning));
        check(&[swap(0, 500), swap(floor + 1, 15)], Some(Severity::Critical));
        check(&[swap(0, 500), swap(floor + 1, 16)], Some(Severity::Warning));
    }

    #[test]
    fn a_line_without_memory_says_nothing() {
        check(&[json!({"mem_available_mb": 1})], None);
        check(&[json!({"mem_free_mb": 15, "mem_available_mb": 199})], Some(Severity::Warning));
        check(&[json!({"mem_free_mb": 15, "mem_available_mb": 200})], None);
    }
}
