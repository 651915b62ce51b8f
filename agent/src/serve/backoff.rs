//! How long the Loop sleeps for a throttle, and what it says about it. Pure.

use jiff::Timestamp;

use crate::event::Event;
use crate::provider::throttle::Throttle;

/// The longest sleep for one throttle, in seconds.
const SLEEP_MAX_S: i64 = 28_800;

/// Returns when to go on: the throttle's end plus `jitter_s`, at most eight hours ahead, and the events that say where
/// this differs from what the provider asked.
pub fn plan(throttle: &Throttle, now: Timestamp, jitter_s: u8) -> (Timestamp, Vec<Event>) {
    let mut events = Vec::new();
    let reset = throttle.effective_reset(now);
    let wanted_s = (reset - now.as_second()).max(0) + i64::from(jitter_s);
    if let Some(reported) = throttle.usable_reset(now).filter(|_| throttle.backoff().extra_s > 0) {
        events.push(Event::TransientErrorBackoffCapped {
            classification: throttle.classification.clone(),
            agent: throttle.agent.clone(),
            requested_sleep_s: (reported - now.as_second()).max(0),
            applied_sleep_s: wanted_s.min(SLEEP_MAX_S),
            original_reset_at_epoch: Some(reported),
            applied_reset_at_epoch: Some(reset),
            consecutive_count: Some(i64::from(throttle.repeats) + 1),
            capped_by_absolute_max: Some(throttle.backoff().capped),
        });
    }
    if wanted_s > SLEEP_MAX_S {
        events.push(Event::TransientErrorBackoffCapped {
            classification: throttle.classification.clone(),
            agent: throttle.agent.clone(),
            requested_sleep_s: wanted_s,
            applied_sleep_s: SLEEP_MAX_S,
            original_reset_at_epoch: None,
            applied_reset_at_epoch: None,
            consecutive_count: None,
            capped_by_absolute_max: None,
        });
    }
    let until = Timestamp::from_second(now.as_second() + wanted_s.min(SLEEP_MAX_S)).unwrap_or(Timestamp::MAX);
    (until, events)
}

/// Returns the event that ends a throttle.
pub fn recovered(throttle: &Throttle, now: Timestamp) -> Event {
    Event::TransientErrorRecovered {
        classification: throttle.classification.clone(),
        agent: throttle.agent.clone(),
        throttled_for_s: throttle.since.map_or(0, |since| (now.as_second() - since.as_second()).max(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn throttle(ahead_s: i64, repeats: u32) -> Throttle {
        Throttle {
            agent: "claude".into(),
            classification: "rate_limit_model".into(),
            since: Timestamp::from_second(NOW - 90).ok(),
            reported_reset: Some((NOW + ahead_s) as f64),
            repeats,
        }
    }

    fn check(throttle: &Throttle, sleep_s: i64, events: usize) {
        let (until, told) = plan(throttle, Timestamp::from_second(NOW).unwrap(), 7);
        assert_eq!((until.as_second() - NOW, told.len()), (sleep_s, events), "{throttle:?}");
    }

    #[test]
    fn sleeps_until_the_reset_plus_jitter_and_tells_what_it_added() {
        check(&throttle(60, 0), 67, 0);
        check(&throttle(60, 1), 127, 1);
        check(&throttle(60, 9), 1867, 1);
        check(&throttle(28_793, 0), 28_800, 0);
        check(&throttle(28_794, 0), 28_800, 1);
        check(&throttle(100_000, 2), 28_800, 2);
    }

    #[test]
    fn the_absolute_cap_is_told_with_four_fields() {
        let (_, told) = plan(&throttle(100_000, 0), Timestamp::from_second(NOW).unwrap(), 5);
        let text = serde_json::to_string(&told[0]).unwrap();
        assert!(text.ends_with(r#""requested_sleep_s":100005,"applied_sleep_s":28800}"#), "{text}");
    }

    #[test]
    fn a_recovery_tells_how_long_it_took() {
        let event = recovered(&throttle(0, 0), Timestamp::from_second(NOW).unwrap());
        assert!(matches!(event, Event::TransientErrorRecovered { throttled_for_s: 90, .. }));
    }
}
