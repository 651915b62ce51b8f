//! `disk_growth`: the log dir's disk, or its inodes, fill fast.

use serde_json::json;

use super::{Detector, Found};
use crate::witness::alert::{AutoAction, Severity};
use crate::witness::samples::span_s;

/// The part of the window two samples must span at least: a rate over seconds is an accident of rounding.
const LEAST_PART: u64 = 3;

/// The table entry.
pub(super) const DETECTOR: Detector = Detector {
    name: "disk_growth",
    severity: Severity::Warning,
    action: AutoAction::None,
    identity: &[],
    fires: "disk or inode use grows fast over the window",
    reads: "metrics disk_used_pct, inode_used_pct",
    thresholds: |thresholds| {
        let disk = &thresholds.disk;
        format!(
            "disk {} %/h, inodes {} %/h over {} s",
            disk.disk_growth_pct_per_hr_warning, disk.inode_growth_pct_per_hr_warning, disk.growth_window_s
        )
    },
    detect: |snapshot, thresholds, _| {
        let limits = &thresholds.disk;
        let history = &snapshot.samples.disk;
        let Some(newest) = history.back() else { return Ok(Vec::new()) };
        let in_window = |at| span_s(at, newest.at) <= limits.growth_window_s;
        let Some(oldest) = history.iter().find(|sample| sample.at <= newest.at && in_window(sample.at))
        else {
            return Ok(Vec::new());
        };
        let span = span_s(oldest.at, newest.at);
        if span == 0 || span < limits.growth_window_s / LEAST_PART {
            return Ok(Vec::new());
        }
        let per_hour = |grown: f64| grown * 3600.0 / span as f64;
        let disk = per_hour(newest.disk_pct - oldest.disk_pct);
        let inode = oldest.inode_pct.zip(newest.inode_pct).map(|(old, new)| per_hour(new - old));
        let mut crossed = Vec::new();
        if disk >= limits.disk_growth_pct_per_hr_warning {
            crossed.push(format!("disk +{disk:.1}%/h"));
        }
        if let Some(inode) = inode.filter(|inode| *inode >= limits.inode_growth_pct_per_hr_warning) {
            crossed.push(format!("inodes +{inode:.1}%/h"));
        }
        if crossed.is_empty() {
            return Ok(Vec::new());
        }
        let message = format!("{} over the last {span}s", crossed.join(", "));
        let context = [
            ("disk_pct_per_hr", json!(disk)),
            ("disk_threshold_pct_per_hr", json!(limits.disk_growth_pct_per_hr_warning)),
            ("inode_pct_per_hr", json!(inode)),
            ("inode_threshold_pct_per_hr", json!(limits.inode_growth_pct_per_hr_warning)),
            ("window_s", json!(limits.growth_window_s)),
            ("span_s", json!(span)),
        ];
        Ok(vec![Found::new(message, context)])
    },
};

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fixture::{Fires, Story};
    use super::DETECTOR;

    fn grown(from: Value, after_s: i64, to: Value) -> Story {
        Story::new().sample(from).after_s(after_s - 1).sample(to)
    }

    fn disk(pct: f64) -> Value {
        json!({"disk_used_pct": pct, "inode_used_pct": null})
    }

    #[test]
    fn fires_from_the_rate_on() {
        for (to, fires) in [(52.4, Fires::No), (52.5, Fires::Yes), (52.6, Fires::Yes)] {
            grown(disk(50.0), 1800, disk(to)).check(&DETECTOR, fires);
        }
    }

    #[test]
    fn one_short_round_is_no_growth() {
        grown(disk(50.0), 10, disk(50.3)).check(&DETECTOR, Fires::No);
        grown(disk(50.0), 599, disk(60.0)).check(&DETECTOR, Fires::No);
        grown(disk(50.0), 600, disk(60.0)).check(&DETECTOR, Fires::Yes);
    }

    #[test]
    fn inodes_count_where_both_samples_tell_them() {
        let both = |pct: f64| json!({"disk_used_pct": 50.0, "inode_used_pct": pct});
        grown(both(10.0), 1800, both(12.4)).check(&DETECTOR, Fires::No);
        grown(both(10.0), 1800, both(12.5)).check(&DETECTOR, Fires::Yes);
        grown(disk(50.0), 1800, both(99.0)).check(&DETECTOR, Fires::No);
    }

    #[test]
    fn what_lies_before_the_window_does_not_count() {
        grown(disk(10.0), 1801, disk(50.0)).check(&DETECTOR, Fires::No);
    }
}
