//! `rate_limit_active`: the provider throttles an agent.

use serde_json::json;

use super::{Detector, Found};
use crate::store::time;
use crate::witness::alert::{AutoAction, Severity};

/// The table entry. Each agent is judged by itself.
pub(super) const DETECTOR: Detector = Detector {
    name: "rate_limit_active",
    severity: Severity::Warning,
    action: AutoAction::None,
    identity: &["agent", "throttled_until_iso"],
    fires: "the provider throttles an agent and the reset lies ahead",
    reads: "transient_error_detected, transient_error_recovered, agent_usage_recorded",
    thresholds: |_| "none".to_owned(),
    detect: |snapshot, _, now| {
        let found = snapshot.throttles.active(now).into_iter().map(|throttle| {
            let until = time::stamp(throttle.until);
            let message = format!("{} throttled until {until} ({})", throttle.agent, throttle.classification);
            let context = [
                ("agent", json!(throttle.agent)),
                ("throttled_until_iso", json!(until)),
                ("classification", json!(throttle.classification)),
            ];
            Found::new(message, context)
        });
        Ok(found.collect())
    },
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{Fires, Story};
    use super::DETECTOR;

    fn detected(story: Story, agent: &str, ahead_s: i64) -> Story {
        let reset = story.at.as_second() + ahead_s;
        story.event(
            "transient_error_detected",
            json!({"classification": "rate_limit_account", "agent": agent, "reset_at_epoch": reset, "round_num": 1}),
        )
    }

    #[test]
    fn fires_until_the_reset() {
        for (ahead_s, fires) in [(0, Fires::No), (1, Fires::No), (2, Fires::Yes)] {
            // The event itself took a second.
            detected(Story::new(), "claude", ahead_s).check(&DETECTOR, fires);
        }
        detected(Story::new(), "claude", 400 * 86_400).check(&DETECTOR, Fires::No);
    }

    #[test]
    fn another_agents_recovery_does_not_hide_it() {
        let recovered = json!({"classification": "x", "agent": "gemini", "throttled_for_s": 1});
        let story = detected(detected(Story::new(), "gemini", 500), "claude", 500);
        assert_eq!(story.alerts(&DETECTOR).len(), 2);
        let alert = story.event("transient_error_recovered", recovered).alert(&DETECTOR).unwrap();
        assert_eq!(DETECTOR.identity_of(&alert), "rate_limit_active:claude:2026-03-01T12:08:21.000Z");
    }
}
