//! `timeout_rate`: too many of the last rounds were ended by the wall clock.

use serde_json::json;

use super::{Detector, Found};
use crate::witness::alert::{AutoAction, Severity};
use crate::witness::thresholds::{EXITS, FAILURE_RATE};

/// The table entry. A round whose agent had printed its result and merely stayed is not counted.
pub(super) const DETECTOR: Detector = Detector {
    name: "timeout_rate",
    severity: Severity::Warning,
    action: AutoAction::None,
    identity: &[],
    fires: "a fifth of the last 10 rounds ran into their wall clock",
    reads: "agent_exit",
    thresholds: |_| format!("window {EXITS}, rate {FAILURE_RATE}"),
    detect: |snapshot, _, _| {
        let exits = &snapshot.exits;
        let timed_out = exits.iter().filter(|exit| exit.timed_out && exit.exit_cause != "grace_kill").count();
        let rate = timed_out as f64 / EXITS as f64;
        if exits.len() < EXITS || rate < FAILURE_RATE {
            return Ok(Vec::new());
        }
        let message = format!("{timed_out}/{EXITS} recent rounds timed out (>{:.0}%)", FAILURE_RATE * 100.0);
        let context = [("rate", json!(rate)), ("threshold", json!(FAILURE_RATE)), ("window", json!(EXITS))];
        Ok(vec![Found::new(message, context)])
    },
};

#[cfg(test)]
mod tests {
    use super::super::fixture::{Exit, Fires, GOOD, Story};
    use super::DETECTOR;

    const TIMED_OUT: Exit =
        Exit { code: -15, duration_s: 1000.0, timed_out: true, cause: "wall_clock", ..GOOD };

    fn check(timed_out: i64, good: i64, fires: Fires) {
        let bad = (1..=timed_out).fold(Story::new(), |story, n| story.round(n, &TIMED_OUT));
        let story = (1..=good).fold(bad, |story, n| story.round(timed_out + n, &GOOD));
        story.check(&DETECTOR, fires);
    }

    #[test]
    fn fires_from_two_of_ten_and_only_with_ten() {
        check(1, 9, Fires::No);
        check(2, 8, Fires::Yes);
        check(3, 7, Fires::Yes);
        check(9, 0, Fires::No);
        check(2, 9, Fires::No);
    }

    #[test]
    fn a_grace_kill_is_no_time_out() {
        let grace = Exit { cause: "grace_kill", ..TIMED_OUT };
        (1..=10).fold(Story::new(), |story, n| story.round(n, &grace)).check(&DETECTOR, Fires::No);
    }

    #[test]
    fn names_the_count() {
        let alert = (1..=10).fold(Story::new(), |s, n| s.round(n, &TIMED_OUT)).alert(&DETECTOR).unwrap();
        assert_eq!(alert.message, "10/10 recent rounds timed out (>20%)");
        assert_eq!(alert.context["rate"], 1.0);
    }
}
