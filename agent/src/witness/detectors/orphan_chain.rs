//! `orphan_chain`: round after round leaves uncommitted work behind.

use serde_json::json;

use super::{Detector, Found};
use crate::witness::alert::{AutoAction, Severity};
use crate::witness::thresholds::ORPHANS_IN_A_ROW;

/// The table entry.
pub(super) const DETECTOR: Detector = Detector {
    name: "orphan_chain",
    severity: Severity::Warning,
    action: AutoAction::None,
    identity: &["last_round"],
    fires: "3 rounds in a row left a dirty tree that was stashed",
    reads: "orphan_stashed, round_end",
    thresholds: |_| format!("{ORPHANS_IN_A_ROW} in a row"),
    detect: |snapshot, _, _| {
        let chain = &snapshot.orphans;
        if chain.streak < ORPHANS_IN_A_ROW {
            return Ok(Vec::new());
        }
        let message = format!(
            "{} orphans stashed in a row (threshold {ORPHANS_IN_A_ROW}); the agent does not finish its work",
            chain.streak
        );
        let context = [
            ("streak", json!(chain.streak)),
            ("threshold", json!(ORPHANS_IN_A_ROW)),
            ("last_round", json!(chain.last_round)),
        ];
        Ok(vec![Found::new(message, context)])
    },
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{Fires, GOOD, Story};
    use super::DETECTOR;

    fn stashed(story: Story, round_num: i64) -> Story {
        story
            .event("round_start", json!({"round_num": round_num}))
            .event("orphan_stashed", json!({"round_num": round_num, "ref": "abc", "reason": "dirty"}))
            .event("round_end", json!({"round_num": round_num}))
    }

    #[test]
    fn fires_at_three_in_a_row() {
        (1..=2).fold(Story::new(), stashed).check(&DETECTOR, Fires::No);
        (1..=3).fold(Story::new(), stashed).check(&DETECTOR, Fires::Yes);
        (1..=4).fold(Story::new(), stashed).check(&DETECTOR, Fires::Yes);
    }

    #[test]
    fn a_clean_round_breaks_the_chain() {
        let story = stashed((1..=2).fold(Story::new(), stashed).round(3, &GOOD), 4);
        story.check(&DETECTOR, Fires::No);
        (1..=3).fold(Story::new(), stashed).round(4, &GOOD).check(&DETECTOR, Fires::No);
    }

    #[test]
    fn the_last_round_is_its_identity() {
        let alert = (1..=4).fold(Story::new(), stashed).alert(&DETECTOR).unwrap();
        assert_eq!(DETECTOR.identity_of(&alert), "orphan_chain:4");
        assert_eq!(alert.context["streak"], 4);
    }
}
