//! `mem_pressure_gate_inert`: there is pressure while MemAvailable looks fine, so `memory.avail_min_mb` cannot fire.

use serde_json::json;

use super::{Detector, Found};
use crate::host;
use crate::witness::alert::{AutoAction, Severity};

/// The table entry.
pub(super) const DETECTOR: Detector = Detector {
    name: "mem_pressure_gate_inert",
    severity: Severity::Warning,
    action: AutoAction::None,
    identity: &[],
    fires: "PSI or swap-out reports pressure while MemAvailable is above its threshold",
    reads: "metrics psi_some_avg10, psi_full_avg10, swap_sout, mem_available_mb",
    thresholds: |thresholds| format!("available {} MB", thresholds.memory.avail_min_mb),
    detect: |snapshot, thresholds, _| {
        let samples = &snapshot.samples;
        let Some(newest) = samples.newest.filter(|line| line.has_memory) else { return Ok(Vec::new()) };
        let previous = samples.previous.map(|line| line.memory);
        let pressure = host::memory_verdict(previous.as_ref(), &newest.memory, &thresholds.memory);
        let seen_early = pressure.is_some_and(|pressure| match pressure.signal {
            host::Signal::Psi | host::Signal::SwapOutRate => true,
            host::Signal::CombinedLow => false,
        });
        let minimum = thresholds.memory.avail_min_mb;
        let Some(available) = newest.memory.mem_available_mb.filter(|&mb| mb >= minimum) else {
            return Ok(Vec::new());
        };
        if !seen_early {
            return Ok(Vec::new());
        }
        let message = format!(
            "memory pressure with {available} MB available: host_health.memory.avail_min_mb ({minimum} MB) cannot fire here"
        );
        let context = [
            ("avail_min_mb", json!(minimum)),
            ("mem_available_mb", json!(available)),
            ("hint", json!("trust the PSI and swap-out signals on this host, or raise avail_min_mb")),
        ];
        Ok(vec![Found::new(message, context)])
    },
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{Fires, Story};
    use super::DETECTOR;

    #[test]
    fn fires_under_pressure_from_the_threshold_on() {
        for (some, available, fires) in
            [(5.0, 199, Fires::No), (5.0, 200, Fires::Yes), (5.0, 201, Fires::Yes), (4.9, 500, Fires::No)]
        {
            let line = json!({"psi_some_avg10": some, "psi_full_avg10": 0.0, "mem_available_mb": available});
            Story::new().sample(line).check(&DETECTOR, fires);
        }
    }
}
