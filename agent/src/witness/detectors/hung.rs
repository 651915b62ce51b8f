//! `hung`: the newest round has no end, long after its wall clock.

use serde_json::json;

use super::{Detector, Found};
use crate::store::time;
use crate::witness::alert::{AutoAction, Severity};
use crate::witness::thresholds::PATIENCE;

/// The table entry.
pub(super) const DETECTOR: Detector = Detector {
    name: "hung",
    severity: Severity::Warning,
    action: AutoAction::None,
    identity: &["round_num"],
    fires: "the newest round has no round_end 1.5 wall clocks after its start",
    reads: "round_start, round_end",
    thresholds: |thresholds| format!("{} s", thresholds.budget_s as f64 * PATIENCE),
    detect: |snapshot, thresholds, now| {
        let Some(round) = snapshot.newest_round.as_ref().filter(|round| round.ended.is_none()) else {
            return Ok(Vec::new());
        };
        let Some(started) = time::parse(&round.ts) else { return Ok(Vec::new()) };
        let elapsed_s = now.duration_since(started).as_secs();
        let threshold_s = thresholds.budget_of(round.phase.as_deref()) as f64 * PATIENCE;
        if elapsed_s as f64 <= threshold_s {
            return Ok(Vec::new());
        }
        let message = format!("round {} started {elapsed_s}s ago with no round_end", round.round_num);
        let context = [
            ("round_num", json!(round.round_num)),
            ("elapsed_s", json!(elapsed_s)),
            ("threshold_s", json!(threshold_s)),
        ];
        Ok(vec![Found::new(message, context)])
    },
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{Fires, GOOD, Story};
    use super::DETECTOR;

    fn started(phase: Option<&str>) -> Story {
        Story::new().round(6, &GOOD).event("round_start", json!({"round_num": 7, "phase": phase}))
    }

    #[test]
    fn fires_after_one_and_a_half_wall_clocks_of_its_phase() {
        // The start itself took the first second.
        for (phase, after_s, fires) in [
            (None, 1498, Fires::No),
            (None, 1499, Fires::No),
            (None, 1500, Fires::Yes),
            (Some("unknown"), 1500, Fires::Yes),
            (Some("long"), 5999, Fires::No),
            (Some("long"), 6000, Fires::Yes),
        ] {
            started(phase).after_s(after_s).check(&DETECTOR, fires);
        }
    }

    #[test]
    fn an_ended_round_and_a_clock_that_went_back_are_fine() {
        started(None).event("round_end", json!({"round_num": 7})).after_s(9999).check(&DETECTOR, Fires::No);
        started(None).after_s(-7200).check(&DETECTOR, Fires::No);
    }

    #[test]
    fn the_round_is_its_identity() {
        let alert = started(None).after_s(2000).alert(&DETECTOR).unwrap();
        assert_eq!(DETECTOR.identity_of(&alert), "hung:7");
        assert_eq!(alert.message, "round 7 started 2001s ago with no round_end");
    }
}
