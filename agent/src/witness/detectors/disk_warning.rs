//! `disk_warning`: the log dir's disk fills up.

use serde_json::json;

use super::disk_critical::disk_use;
use super::{Detector, Found};
use crate::witness::alert::{AutoAction, Severity};

/// The table entry. From the critical percentage on, `disk_critical` speaks instead.
pub(super) const DETECTOR: Detector = Detector {
    name: "disk_warning",
    severity: Severity::Warning,
    action: AutoAction::None,
    identity: &[],
    fires: "the log dir's or the work tree's disk is nearly full",
    reads: "metrics disk_used_pct of the last ten minutes, the disks now",
    thresholds: |thresholds| format!("{} to {} %", thresholds.disk.warning_pct, thresholds.disk.critical_pct),
    detect: |snapshot, thresholds, now| {
        let threshold = thresholds.disk.warning_pct;
        let Some(found) = disk_use(snapshot, now) else { return Ok(Vec::new()) };
        let value = found.pct;
        if value < threshold || value >= thresholds.disk.critical_pct {
            return Ok(Vec::new());
        }
        let message = format!("disk usage {value}% ≥ {threshold}%");
        let context = [
            ("value", json!(value)),
            ("threshold", json!(threshold)),
            (
                "hint",
                json!(format!(
                    "free space on the disk of {}, or set runtime.round_log_retention",
                    found.place
                )),
            ),
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
    fn fires_between_warning_and_critical() {
        for (value, fires) in
            [(89.9, Fires::No), (90.0, Fires::Yes), (90.1, Fires::Yes), (94.9, Fires::Yes), (95.0, Fires::No)]
        {
            Story::new().sample(json!({"disk_used_pct": value})).check(&DETECTOR, fires);
        }
    }

    #[test]
    fn the_newest_line_that_tells_it_counts() {
        let story =
            Story::new().sample(json!({"disk_used_pct": 50.0})).sample(json!({"disk_used_pct": 91.0}));
        story.sample(json!({"mem_free_mb": 5})).check(&DETECTOR, Fires::Yes);
    }
}
