//! `anomaly_repetitive_active`: the agent repeats itself.

use serde_json::json;

use super::{Detector, Found};
use crate::witness::alert::{AutoAction, Severity};
use crate::witness::thresholds::ANOMALY_ROUNDS;

/// The table entry.
pub(super) const DETECTOR: Detector = Detector {
    name: "anomaly_repetitive_active",
    severity: Severity::Warning,
    action: AutoAction::None,
    identity: &["latest_tool", "latest_target"],
    fires: "the agent repeated one tool call in one of the last 5 rounds",
    reads: "anomaly_repetitive_tool",
    thresholds: |_| format!("1 in {ANOMALY_ROUNDS} rounds"),
    detect: |snapshot, _, _| {
        let count = snapshot.recent_anomalies().count();
        let Some(latest) = snapshot.recent_anomalies().next_back() else { return Ok(Vec::new()) };
        let target = latest.target.as_deref().unwrap_or("-");
        let message = format!(
            "{count} repetition(s) in the last {ANOMALY_ROUNDS} rounds; latest: {} on {target}, {} of {} calls",
            latest.tool, latest.count, latest.window
        );
        let context = [
            ("count", json!(count)),
            ("window_rounds", json!(ANOMALY_ROUNDS)),
            ("latest_tool", json!(latest.tool)),
            ("latest_target", json!(latest.target)),
        ];
        Ok(vec![Found::new(message, context)])
    },
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{Fires, GOOD, Story};
    use super::DETECTOR;

    fn repeated(story: Story, round_num: i64) -> Story {
        let fields =
            json!({"round_num": round_num, "tool_name": "Read", "target": "a.rs", "count": 8, "window": 10});
        story.event("anomaly_repetitive_tool", fields)
    }

    #[test]
    fn fires_while_it_is_among_the_last_five_rounds() {
        Story::new().round(9, &GOOD).check(&DETECTOR, Fires::No);
        let anomaly = || repeated(Story::new(), 5);
        anomaly().check(&DETECTOR, Fires::Yes);
        anomaly().round(9, &GOOD).check(&DETECTOR, Fires::Yes);
        anomaly().round(10, &GOOD).check(&DETECTOR, Fires::No);
    }

    #[test]
    fn tool_and_target_are_its_identity() {
        let alert = repeated(repeated(Story::new(), 5), 6).alert(&DETECTOR).unwrap();
        assert_eq!(DETECTOR.identity_of(&alert), "anomaly_repetitive_active:Read:a.rs");
        assert_eq!(alert.context["count"], 2);
    }
}
