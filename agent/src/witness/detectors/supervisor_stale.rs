//! `supervisor_stale`: the log has gone silent, so the supervisor is probably dead.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Detector, Found};
use crate::store::time;
use crate::witness::alert::{AutoAction, Severity};
use crate::witness::snapshot::{Pause, Snapshot};
use crate::witness::thresholds::PAUSE_LIMIT_S;

/// The table entry. An announced pause, and a throttle that holds, silence it until their end is overdue as well.
pub(super) const DETECTOR: Detector = Detector {
    name: "supervisor_stale",
    severity: Severity::Warning,
    action: AutoAction::None,
    identity: &["last_ts"],
    fires: "no event for longer than a round may take, outside an announced pause",
    reads: "every event no monitor wrote",
    thresholds: |thresholds| match thresholds.supervisor_stale_s {
        0 => "off".to_owned(),
        seconds => format!("{seconds} s"),
    },
    detect: |snapshot, thresholds, now| {
        let threshold_s = i64::try_from(thresholds.supervisor_stale_s).unwrap_or(i64::MAX);
        let Some(last_ts) = &snapshot.newest_event else { return Ok(Vec::new()) };
        let Some(last) = time::parse(last_ts).filter(|_| threshold_s > 0) else { return Ok(Vec::new()) };
        let age_s = now.duration_since(last).as_secs();
        if age_s <= threshold_s || expected_silence(snapshot, threshold_s, now) {
            return Ok(Vec::new());
        }
        let message = format!("no events for {age_s}s; the last one was at {last_ts}");
        let context =
            [("age_s", json!(age_s)), ("threshold_s", json!(threshold_s)), ("last_ts", json!(last_ts))];
        Ok(vec![Found::new(message, context)])
    },
};

fn expected_silence(snapshot: &Snapshot, threshold_s: i64, now: Timestamp) -> bool {
    let patience = SignedDuration::from_secs(threshold_s);
    let overdue = |end: Timestamp| end.checked_add(patience).is_ok_and(|limit| now > limit);
    if let Some(pause) = &snapshot.pause {
        return pause_end(pause).is_none_or(|end| !overdue(end));
    }
    let before = now.checked_sub(patience).unwrap_or(now);
    snapshot.throttles.active(before).iter().any(|throttle| !overdue(throttle.until))
}

/// Returns when a pause should be over: its announced end if that carries an offset, else eight days after it began.
fn pause_end(pause: &Pause) -> Option<Timestamp> {
    let announced = pause.resume_at.as_deref().and_then(|text| text.trim().parse::<Timestamp>().ok());
    announced.or_else(|| time::parse(&pause.ts)?.checked_add(SignedDuration::from_secs(PAUSE_LIMIT_S)).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{Fires, GOOD, Story};
    use super::DETECTOR;

    #[test]
    fn fires_after_the_threshold_since_the_newest_event_of_the_supervisor() {
        for (after_s, fires) in [(1499, Fires::No), (1500, Fires::Yes)] {
            Story::new().round(1, &GOOD).after_s(after_s).check(&DETECTOR, fires);
        }
        let monitor_wrote = Story::new()
            .round(1, &GOOD)
            .after_s(1600)
            .event("monitor_alert_resolved", json!({"detector": "hung"}))
            .event("monitor_started", json!({}));
        monitor_wrote.check(&DETECTOR, Fires::Yes);
        Story::new().after_s(99_999).check(&DETECTOR, Fires::No);
    }

    #[test]
    fn an_announced_pause_silences_it_until_its_end_is_overdue() {
        let paused = |resume_at: &str| {
            Story::new().event("schedule_paused", json!({"active_window": "night", "resume_at": resume_at}))
        };
        let announced = || paused("2026-03-01T16:00:00+02:00");
        announced().after_s(7200 + 1498).check(&DETECTOR, Fires::No);
        announced().after_s(7200 + 1501).check(&DETECTOR, Fires::Yes);
        let eight_days = 8 * 86_400;
        for unreadable in ["", "soon", "2026-03-01T14:00:00"] {
            paused(unreadable).after_s(eight_days).check(&DETECTOR, Fires::No);
            paused(unreadable).after_s(eight_days + 1600).check(&DETECTOR, Fires::Yes);
        }
        let resumed = announced().event("schedule_resumed", json!({"paused_for_s": 1})).after_s(1600);
        resumed.check(&DETECTOR, Fires::Yes);
        let deferred = Story::new().event("round_deferred", json!({"severity": "critical"}));
        deferred.after_s(9999).check(&DETECTOR, Fires::No);
    }

    #[test]
    fn a_throttle_silences_it_until_its_reset_is_overdue() {
        let story = Story::new();
        let reset = story.at.as_second() + 10_000;
        let fields =
            json!({"classification": "rate_limit_account", "agent": "claude", "reset_at_epoch": reset});
        let throttled = || Story::new().event("transient_error_detected", fields.clone());
        throttled().after_s(10_000 + 1498).check(&DETECTOR, Fires::No);
        throttled().after_s(10_000 + 1501).check(&DETECTOR, Fires::Yes);
    }
}
