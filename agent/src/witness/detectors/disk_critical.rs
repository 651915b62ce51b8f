//! `disk_critical`: the log dir's disk is full; rounds can only do harm.

use jiff::Timestamp;
use serde_json::json;

use super::{Detector, Found};
use crate::store::time;
use crate::witness::alert::{AutoAction, Severity};
use crate::witness::snapshot::Snapshot;

/// The table entry. A sample this detector has already stopped the service for does not stop it again: whoever
/// started it since knows, and the next round measures anew.
pub(super) const DETECTOR: Detector = Detector {
    name: "disk_critical",
    severity: Severity::Critical,
    action: AutoAction::StopService,
    identity: &[],
    fires: "the log dir's or the work tree's disk is full",
    reads: "metrics disk_used_pct of the last ten minutes, the disks now",
    thresholds: |thresholds| format!("{} %", thresholds.disk.critical_pct),
    detect: |snapshot, thresholds, now| {
        let threshold = thresholds.disk.critical_pct;
        let Some(found_use) = disk_use(snapshot, now).filter(|found| found.pct >= threshold) else {
            return Ok(Vec::new());
        };
        let message = format!("disk usage {}% ≥ {threshold}%, auto-stopping", found_use.pct);
        let context = [
            ("value", json!(found_use.pct)),
            ("threshold", json!(threshold)),
            ("hint", json!(format!("free space on the disk of {}, then start the service", found_use.place))),
        ];
        let found = Found::new(message, context);
        if snapshot.acted_on(DETECTOR.name, found_use.at) {
            return Ok(vec![found.with_action(AutoAction::None)]);
        }
        Ok(vec![found])
    },
};

/// Seconds for which a sample stands against a look: what filled the disk a moment ago may do so again.
const FRESH_S: i64 = 600;

/// How full the project's disks are.
pub(super) struct DiskUse {
    pub(super) pct: f64,
    /// Since when that is known, for telling old evidence from new.
    at: Option<Timestamp>,
    pub(super) place: String,
}

/// Returns the newest sample's figure, or what a look finds now where that is worse (a full disk takes no samples) or
/// the sample old. What a look finds is evidence of the newest round.
pub(super) fn disk_use(snapshot: &Snapshot, now: Timestamp) -> Option<DiskUse> {
    let samples = &snapshot.samples;
    // Where nobody can look, an old sample is all there is.
    let can_look = samples.fullest.is_some();
    let is_fresh = |at: Timestamp| now.duration_since(at).as_secs().abs() <= FRESH_S;
    let sampled = samples.disk.back().filter(|sample| !can_look || is_fresh(sample.at));
    let worse = |pct: f64| sampled.is_none_or(|sample| pct > sample.disk_pct);
    if let Some(disk) = samples.fullest.as_ref().filter(|disk| worse(disk.disk_pct)) {
        let at = snapshot.newest_round.as_ref().and_then(|round| time::parse(&round.ts));
        return Some(DiskUse { pct: disk.disk_pct, at, place: disk.path.display().to_string() });
    }
    sampled.map(|sample| DiskUse {
        pct: sample.disk_pct,
        at: Some(sample.at),
        place: "the log dir".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{Fires, Story};
    use super::DETECTOR;
    use crate::witness::alert::AutoAction;
    use crate::witness::samples::FullDisk;

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

    #[test]
    fn an_old_sample_stands_only_where_nobody_can_look() {
        let full = || Story::new().sample(json!({"disk_used_pct": 99.0}));
        for (look, after_s, fires) in [
            (Some(51.0), 599, Fires::Yes),
            (Some(51.0), 600, Fires::No),
            (Some(51.0), 3 * 86_400, Fires::No),
            // The clock was ahead when it was taken.
            (Some(51.0), -3 * 86_400, Fires::No),
            (Some(96.0), 3 * 86_400, Fires::Yes),
            (None, 3 * 86_400, Fires::Yes),
        ] {
            let mut story = full().after_s(after_s);
            story.snapshot.samples.fullest = look.map(|disk_pct| FullDisk { path: "/srv".into(), disk_pct });
            story.check(&DETECTOR, fires);
        }
    }

    #[test]
    fn what_a_look_finds_counts_where_it_is_worse_and_once_per_round() {
        let seen = |sampled: f64, pct: f64| {
            let mut story = Story::new().event("round_start", json!({"round_num": 1}));
            story = story.sample(json!({"disk_used_pct": sampled}));
            story.snapshot.samples.fullest = Some(FullDisk { path: "/srv/work".into(), disk_pct: pct });
            story
        };
        seen(50.0, 94.9).check(&DETECTOR, Fires::No);
        seen(50.0, 100.0).check(&DETECTOR, Fires::Yes);
        seen(96.0, 10.0).check(&DETECTOR, Fires::Yes);
        let alert = seen(50.0, 100.0).alert(&DETECTOR).unwrap();
        assert!(alert.context["hint"].as_str().unwrap().contains("/srv/work"), "{alert:?}");
        assert_eq!(alert.auto_action, AutoAction::StopService);
        let stopped =
            seen(50.0, 100.0).event("monitor_auto_stop_triggered", json!({"detector": "disk_critical"}));
        assert_eq!(stopped.alert(&DETECTOR).unwrap().auto_action, AutoAction::None);
        let again = stopped.event("round_start", json!({"round_num": 2}));
        assert_eq!(again.alert(&DETECTOR).unwrap().auto_action, AutoAction::StopService);
    }
}
