//! `disk_critical`: the log dir's disk is full; rounds can only do harm.

use serde_json::json;

use super::{Detector, Found};
use crate::witness::alert::{AutoAction, Severity};

/// The table entry. A sample this detector has already stopped the service for does not stop it again: whoever
/// started it since knows, and the next round measures anew.
pub(super) const DETECTOR: Detector = Detector {
    name: "disk_critical",
    severity: Severity::Critical,
    action: AutoAction::StopService,
    identity: &[],
    fires: "the log dir's disk is full",
    reads: "metrics disk_used_pct",
    thresholds: |thresholds| format!("{} %", thresholds.disk.critical_pct),
    detect: |snapshot, thresholds, _| {
        let threshold = thresholds.disk.critical_pct;
        let Some(sample) = snapshot.samples.disk.back().filter(|sample| sample.disk_pct >= threshold) else {
            return Ok(Vec::new());
        };
        let message = format!("disk usage {}% ≥ {threshold}%, auto-stopping", sample.disk_pct);
        let context = [
            ("value", json!(sample.disk_pct)),
            ("threshold", json!(threshold)),
            ("hint", json!("free space on the log dir's disk, then start the service")),
        ];
        let found = Found::new(message, context);
        if snapshot.acted_on(DETECTOR.name, Some(sample.at)) {
            return Ok(vec![found.with_action(AutoAction::None)]);
        }
        Ok(vec![found])
    },
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{Fires, Story};
    use super::DETECTOR;
    use crate::witness::alert::AutoAction;

    #[test]
    fn fires_from_the_threshold_on() {
        for (value, fires) in [(94.9, Fires::No), (95.0, Fires::Yes), (95.1, Fires::Yes)] {
            Story::new().sample(json!({"disk_used_pct": value})).check(&DETECTOR, fires);
        }
    }

    #[test]
    fn one_sample_stops_the_service_once() {
        let full = Story::new().sample(json!({"disk_used_pct": 99.0}));
        assert_eq!(full.alert(&DETECTOR).unwrap().auto_action, AutoAction::StopService);
        let stopped = full.event("monitor_auto_stop_triggered", json!({"detector": "disk_critical"}));
        assert_eq!(stopped.alert(&DETECTOR).unwrap().auto_action, AutoAction::None);
        let again = stopped.sample(json!({"disk_used_pct": 99.0}));
        assert_eq!(again.alert(&DETECTOR).unwrap().auto_action, AutoAction::StopService);
    }
}
