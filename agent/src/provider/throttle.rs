//! A provider's transient errors, folded from the event log: who is throttled, and until when. Pure.
//!
//! Per agent the last of `transient_error_detected` and `transient_error_recovered` wins. Errors of the model or the
//! API wait longer each time they come back without a success in between.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::store::record::Record;

/// The longest that repetition adds to a reported reset, in seconds.
pub const BACKOFF_MAX_S: i64 = 1800;

/// A reset further ahead than this is poison and means no throttle, in seconds.
const AHEAD_MAX_S: f64 = 366.0 * 86_400.0;

/// Doublings after which the back-off no longer grows.
const DOUBLINGS_MAX: u32 = 5;

/// Agents remembered at most: a log that names more is damaged.
const AGENTS_MAX: usize = 256;

/// An agent's last detected error, while no recovery followed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Throttle {
    /// The agent's identity.
    pub agent: String,
    /// The provider's kind of error.
    pub classification: String,
    /// When it was detected.
    pub since: Option<Timestamp>,
    /// The reset as it was reported, in seconds since the epoch; `None` when it is no usable number.
    pub reported_reset: Option<f64>,
    /// Earlier errors of this agent since its last success.
    pub repeats: u32,
}

/// What a repetition adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Seconds after the reported reset.
    pub extra_s: i64,
    /// Whether it would have been more without [`BACKOFF_MAX_S`].
    pub capped: bool,
}

impl Throttle {
    /// Returns when it ends, in whole seconds since the epoch; 0 when the reported reset cannot be meant.
    pub fn effective_reset(&self, now: Timestamp) -> i64 {
        match self.usable_reset(now) {
            Some(reset) => reset.saturating_add(self.backoff().extra_s),
            None => 0,
        }
    }

    /// Returns whether it still holds.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.effective_reset(now) > now.as_second()
    }

    /// Returns whether the reported reset is poison: not a number, negative, or more than a year ahead.
    pub fn is_poisoned(&self, now: Timestamp) -> bool {
        self.usable_reset(now).is_none()
    }

    /// Returns what repetition adds for this kind of error.
    pub fn backoff(&self) -> Backoff {
        let Some(base) = base_s(&self.classification) else { return Backoff { extra_s: 0, capped: false } };
        let wanted = base * ((1 << self.repeats.min(DOUBLINGS_MAX)) - 1);
        Backoff { extra_s: wanted.min(BACKOFF_MAX_S), capped: wanted > BACKOFF_MAX_S }
    }

    /// Returns the reported reset in whole seconds, rounded up, when it can be meant.
    pub fn usable_reset(&self, now: Timestamp) -> Option<i64> {
        let reset = self.reported_reset.filter(|reset| reset.is_finite() && *reset >= 0.0)?;
        let limit = now.as_second() as f64 + AHEAD_MAX_S;
        (reset <= limit).then(|| reset.ceil() as i64)
    }
}

/// The throttles of all agents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Throttles {
    agents: BTreeMap<String, Agent>,
    newest: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Agent {
    throttle: Option<Throttle>,
    /// Errors since the last success.
    detected: u32,
}

impl Throttles {
    /// Folds records, oldest first.
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Throttles {
        let mut throttles = Throttles::default();
        for record in records {
            throttles.apply(record);
        }
        throttles
    }

    /// Takes one record into account; kinds that do not matter change nothing.
    pub fn apply(&mut self, record: &Record) {
        let name = record.str("agent").unwrap_or_default();
        match record.kind.as_str() {
            "transient_error_detected" => self.detected(name, record),
            "transient_error_recovered" => {
                self.newest = None;
                if let Some(agent) = self.agents.get_mut(name) {
                    agent.throttle = None;
                }
            }
            "agent_usage_recorded" if record.bool("success") == Some(true) => {
                if let Some(agent) = self.agents.get_mut(name) {
                    agent.detected = 0;
                }
            }
            _ => {}
        }
    }

    /// Returns the throttles that no recovery followed, active or not.
    pub fn unrecovered(&self) -> impl Iterator<Item = &Throttle> {
        self.agents.values().filter_map(|agent| agent.throttle.as_ref())
    }

    /// Returns the throttle that holds longest; of one agent, or of any when `agent` is `None`.
    pub fn active(&self, agent: Option<&str>, now: Timestamp) -> Option<&Throttle> {
        self.unrecovered()
            .filter(|throttle| agent.is_none_or(|name| name == throttle.agent) && throttle.is_active(now))
            .max_by_key(|throttle| throttle.effective_reset(now))
    }

    /// Returns the newest error of all agents, when no recovery of any agent followed it.
    pub fn newest(&self) -> Option<&Throttle> {
        self.agents.get(self.newest.as_ref()?)?.throttle.as_ref()
    }

    fn detected(&mut self, name: &str, record: &Record) {
        if self.agents.len() >= AGENTS_MAX && !self.agents.contains_key(name) {
            return;
        }
        let agent = self.agents.entry(name.to_owned()).or_default();
        agent.throttle = Some(Throttle {
            agent: name.to_owned(),
            classification: record.str("classification").unwrap_or_default().to_owned(),
            since: record.time(),
            reported_reset: record.get("reset_at_epoch").and_then(Value::as_f64),
            repeats: agent.detected,
        });
        agent.detected = agent.detected.saturating_add(1);
        self.newest = Some(name.to_owned());
    }
}

/// Returns whether a kind changes the throttles: what a reader has to hand to [`Throttles::fold`].
pub fn concerns(kind: &str) -> bool {
    matches!(kind, "transient_error_detected" | "transient_error_recovered" | "agent_usage_recorded")
}

/// Returns the active throttle that holds longest, of one agent or of any, from records in the order of the log.
pub fn active<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    agent: Option<&str>,
    now: Timestamp,
) -> Option<Throttle> {
    Throttles::fold(records).active(agent, now).cloned()
}

/// Returns the first wait in seconds for the kinds that wait longer each time; `None` for those that say themselves
/// when they end.
fn base_s(classification: &str) -> Option<i64> {
    match classification {
        "rate_limit_model" | "api_transient_5xx" => Some(60),
        "api_timeout" => Some(30),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    fn record(value: &Value) -> Record {
        Record::parse(value.to_string().as_bytes()).unwrap()
    }

    fn detected(agent: &str, class: &str, reset: Value) -> Record {
        record(&json!({"ts": "2026-01-01T00:00:00.000Z", "event": "transient_error_detected",
            "classification": class, "agent": agent, "reset_at_epoch": reset}))
    }

    fn recovered(agent: &str) -> Record {
        record(&json!({"event": "transient_error_recovered", "agent": agent}))
    }

    fn usage(agent: &str, success: Value) -> Record {
        record(&json!({"event": "agent_usage_recorded", "agent": agent, "success": success}))
    }

    fn check(records: &[Record], agent: Option<&str>, expected: Option<i64>) {
        let found = active(records, agent, now()).map(|throttle| throttle.effective_reset(now()) - NOW);
        assert_eq!(found, expected, "{records:?}");
    }

    #[test]
    fn the_last_of_detected_and_recovered_wins_per_agent() {
        let soon = json!(NOW + 60);
        check(&[detected("a", "rate_limit_account", soon.clone())], None, Some(60));
        check(&[detected("a", "rate_limit_account", soon.clone())], Some("a"), Some(60));
        check(&[detected("a", "rate_limit_account", soon.clone())], Some("b"), None);
        check(&[detected("a", "x", soon.clone()), recovered("b")], None, Some(60));
        check(&[detected("a", "x", soon.clone()), recovered("a")], None, None);
        check(&[detected("a", "x", json!(NOW))], None, None);
    }

    #[test]
    fn repeated_errors_wait_longer_up_to_half_an_hour() {
        let mut records = Vec::new();
        for extra in [0, 60, 180, 420, 900, 1800, 1800] {
            records.push(detected("a", "rate_limit_model", json!(NOW + 60)));
            check(&records, None, Some(60 + extra));
        }
        records.push(usage("a", json!(false)));
        records.push(recovered("a"));
        records.push(detected("a", "api_timeout", json!(NOW + 30)));
        check(&records, None, Some(30 + 930));
        records.push(usage("a", json!(true)));
        records.push(detected("a", "api_timeout", json!(NOW + 30)));
        check(&records, None, Some(30));
    }

    #[test]
    fn an_account_limit_is_taken_at_its_word_however_often_it_comes() {
        let one = detected("a", "rate_limit_account", json!(NOW + 3600));
        check(&[one.clone(), one.clone(), one], None, Some(3600));
    }

    #[test]
    fn a_poisoned_reset_is_no_throttle() {
        let year = 366 * 86_400;
        for poison in
            [json!(null), json!("soon"), json!(true), json!(-1), json!(1e300), json!(NOW + year + 1)]
        {
            let records = [detected("a", "rate_limit_model", poison.clone())];
            check(&records, None, None);
            assert!(Throttles::fold(&records).newest().unwrap().is_poisoned(now()), "{poison}");
        }
        check(&[detected("a", "x", json!(NOW + year))], None, Some(year));
        check(&[detected("a", "x", json!(NOW as f64 + 0.5))], None, Some(1));
    }

    #[test]
    fn the_newest_error_is_gone_with_any_recovery() {
        let records = [detected("a", "x", json!(NOW + 9)), detected("b", "x", json!(NOW + 5))];
        assert_eq!(Throttles::fold(&records).newest().unwrap().agent, "b");
        let mut more = records.to_vec();
        more.push(recovered("a"));
        assert_eq!(Throttles::fold(&more).newest(), None);
    }

    proptest! {
        #[test]
        fn no_number_overflows_and_a_throttle_ends_within_a_year(
            resets in prop::collection::vec(any::<f64>(), 1..40), seconds in 0i64..4_000_000_000,
        ) {
            let at = Timestamp::from_second(seconds).unwrap();
            let records: Vec<_> =
                resets.iter().map(|reset| detected("a", "rate_limit_model", json!(reset))).collect();
            if let Some(throttle) = active(&records, None, at) {
                let ahead = throttle.effective_reset(at) - seconds;
                prop_assert!(ahead > 0 && ahead <= 366 * 86_400 + BACKOFF_MAX_S);
            }
        }

        #[test]
        fn more_repeats_never_wait_less(repeats in 0u32..100) {
            let throttle = |repeats| Throttle {
                agent: "a".into(),
                classification: "api_transient_5xx".into(),
                since: None,
                reported_reset: Some(NOW as f64),
                repeats,
            };
            prop_assert!(throttle(repeats + 1).backoff().extra_s >= throttle(repeats).backoff().extra_s);
        }
    }
}
