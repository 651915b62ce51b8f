//! `smoke_fail_rate`: rounds that the startup battery refuses.

use serde_json::json;

use super::{Detector, Found};
use crate::witness::alert::{AutoAction, Severity};
use crate::witness::thresholds::{EXITS, SMOKE_RATE};

/// The table entry. An attempt the battery refuses never starts, so it is counted against attempts, not rounds, and
/// one refusal needs no ten attempts before it.
pub(super) const DETECTOR: Detector = Detector {
    name: "smoke_fail_rate",
    severity: Severity::Warning,
    action: AutoAction::None,
    identity: &[],
    fires: "a tenth of the last 10 attempts did not pass the startup checks",
    reads: "smoke_check_failed, round_substrate_before, round_start",
    thresholds: |_| format!("window {EXITS}, rate {SMOKE_RATE}"),
    detect: |snapshot, _, _| {
        let attempts = snapshot.attempts.len();
        let failed = snapshot.attempts.iter().filter(|attempt| attempt.failed).count();
        let rate = failed as f64 / attempts.max(1) as f64;
        if rate < SMOKE_RATE {
            return Ok(Vec::new());
        }
        let message = format!("{failed}/{attempts} recent attempts failed the startup checks; see doctor");
        let context = [("rate", json!(rate)), ("threshold", json!(SMOKE_RATE)), ("window", json!(attempts))];
        Ok(vec![Found::new(message, context)])
    },
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{Fires, GOOD, Story};
    use super::DETECTOR;

    fn refused(story: Story) -> Story {
        story
            .event("round_substrate_before", json!({"round_num": 1}))
            .event("smoke_check_failed", json!({"reason": "work_dir_is_git_repo: no"}))
            .event("smoke_check_failed", json!({"reason": "agent_cli_in_path: no"}))
            .after_s(60)
    }

    #[test]
    fn fires_from_one_of_ten_attempts_on() {
        let good = |story: Story, count: i64| (1..=count).fold(story, |story, n| story.round(n, &GOOD));
        good(Story::new(), 10).check(&DETECTOR, Fires::No);
        refused(good(Story::new(), 9)).check(&DETECTOR, Fires::Yes);
        good(refused(Story::new()), 10).check(&DETECTOR, Fires::No);
        refused(Story::new()).check(&DETECTOR, Fires::Yes);
    }

    #[test]
    fn one_battery_is_one_attempt_with_and_without_the_loop() {
        let alert = refused(refused(Story::new())).alert(&DETECTOR).unwrap();
        assert_eq!(alert.message, "2/2 recent attempts failed the startup checks; see doctor");
        let smoke = |story: Story| story.event("smoke_check_failed", json!({"reason": "x: y"}));
        let alone = smoke(smoke(smoke(Story::new())).after_s(60)).alert(&DETECTOR).unwrap();
        assert_eq!(alone.context["window"], 2);
    }
}
