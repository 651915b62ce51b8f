//! Which agent the provider throttles, and until when: the last of detected and recovered wins, for each agent by
//! itself, so that one agent's recovery never hides another's throttle.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::store::record::Record;

/// Agents remembered; a project has one per phase at most.
const AGENTS: usize = 64;
/// The longest back-off added to a reported reset, in seconds.
const BACKOFF_MAX_S: i64 = 1800;
/// A reset further ahead than this is no reset.
const RESET_MAX_AHEAD_S: i64 = 366 * 86_400;

/// The throttles of all agents.
#[derive(Debug, Clone, Default)]
pub struct Throttles {
    agents: BTreeMap<String, State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    /// Detections since the last successful use.
    detections: u32,
    detected: Option<Detected>,
}

#[derive(Debug, Clone)]
struct Detected {
    classification: String,
    reset_at: Option<f64>,
    round_num: Option<i64>,
    phase: Option<String>,
}

/// One throttle that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throttle {
    /// The throttled agent.
    pub agent: String,
    /// What the provider called it.
    pub classification: String,
    /// When it is over.
    pub until: Timestamp,
    /// The round that met it.
    pub since_round: Option<i64>,
    /// That round's phase.
    pub phase: Option<String>,
}

impl Throttles {
    /// Folds the next event in.
    pub fn event(&mut self, record: &Record) {
        let Some(agent) = record.str("agent") else { return };
        let success = record.bool("success") == Some(true);
        match record.kind.as_str() {
            "transient_error_detected" => {
                let Some(state) = self.state(agent) else { return };
                state.detections = state.detections.saturating_add(1);
                state.detected = Some(Detected {
                    classification: record.str("classification").unwrap_or_default().to_owned(),
                    reset_at: record.get("reset_at_epoch").and_then(Value::as_f64),
                    round_num: record.round_num(),
                    phase: record.str("phase").filter(|phase| !phase.is_empty()).map(str::to_owned),
                });
            }
            "transient_error_recovered" => {
                if let Some(state) = self.agents.get_mut(agent) {
                    state.detected = None;
                }
            }
            "agent_usage_recorded" if success => {
                if let Some(state) = self.agents.get_mut(agent) {
                    state.detections = 0;
                }
            }
            _ => {}
        }
    }

    fn state(&mut self, agent: &str) -> Option<&mut State> {
        if !self.agents.contains_key(agent) && self.agents.len() >= AGENTS {
            return None;
        }
        Some(self.agents.entry(agent.to_owned()).or_default())
    }

    /// Returns the throttles that hold at `now`, by agent.
    pub fn active(&self, now: Timestamp) -> Vec<Throttle> {
        self.agents.iter().filter_map(|(agent, state)| state.active(agent, now)).collect()
    }
}

impl State {
    fn active(&self, agent: &str, now: Timestamp) -> Option<Throttle> {
        let detected = self.detected.as_ref()?;
        let reported = reported_reset(detected.reset_at, now)?;
        let until = reported.checked_add(SignedDuration::from_secs(self.backoff_s(detected))).ok()?;
        (until > now).then(|| Throttle {
            agent: agent.to_owned(),
            classification: detected.classification.clone(),
            until,
            since_round: detected.round_num,
            phase: detected.phase.clone(),
        })
    }

    /// Returns what is added to the reported reset: nothing the first time, then doubling.
    fn backoff_s(&self, detected: &Detected) -> i64 {
        let base = match detected.classification.as_str() {
            "rate_limit_model" | "api_transient_5xx" => 60,
            "api_timeout" => 30,
            _ => return 0,
        };
        let repeats = self.detections.saturating_sub(1).min(5);
        (base * ((1_i64 << repeats) - 1)).min(BACKOFF_MAX_S)
    }
}

/// Returns the reported reset; `None` for what is no time, is negative or lies more than a year ahead.
fn reported_reset(epoch: Option<f64>, now: Timestamp) -> Option<Timestamp> {
    let epoch = epoch.filter(|epoch| epoch.is_finite() && *epoch >= 0.0)?;
    let latest = now.as_second().saturating_add(RESET_MAX_AHEAD_S);
    if epoch > latest as f64 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded just above; whole seconds are meant")]
    Timestamp::from_second(epoch as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: &[(&str, i64)]) {
        let mut throttles = Throttles::default();
        for line in lines {
            throttles.event(&Record::parse(line.as_bytes()).unwrap());
        }
        let now = Timestamp::from_second(1_000_000).unwrap();
        let active = throttles.active(now);
        let found: Vec<_> = active.iter().map(|t| (t.agent.as_str(), t.until.as_second())).collect();
        assert_eq!(found, expected, "{lines:?}");
    }

    fn detected(agent: &str, classification: &str, reset: &str) -> String {
        format!(
            r#"{{"event": "transient_error_detected", "classification": "{classification}", "agent": "{agent}", "reset_at_epoch": {reset}}}"#
        )
    }

    #[test]
    fn another_agents_recovery_hides_nothing() {
        let claude = detected("claude", "rate_limit_account", "1000500");
        let recovered = r#"{"event": "transient_error_recovered", "agent": "gemini"}"#;
        check(&[&claude, recovered], &[("claude", 1_000_500)]);
        let recovered = r#"{"event": "transient_error_recovered", "agent": "claude"}"#;
        check(&[&claude, recovered], &[]);
    }

    #[test]
    fn the_back_off_doubles_until_a_success_and_only_where_it_is_meant() {
        let one = detected("pi", "rate_limit_model", "1000100");
        check(&[&one], &[("pi", 1_000_100)]);
        check(&[&one, &one], &[("pi", 1_000_160)]);
        check(&[&one, &one, &one], &[("pi", 1_000_280)]);
        check(&[one.as_str(); 9], &[("pi", 1_000_100 + 1800)]);
        let success = r#"{"event": "agent_usage_recorded", "agent": "pi", "success": true}"#;
        check(&[&one, &one, success, &one], &[("pi", 1_000_100)]);
        let account = detected("pi", "rate_limit_account", "1000100");
        check(&[&account, &account], &[("pi", 1_000_100)]);
    }

    #[test]
    fn a_poisoned_reset_is_no_throttle() {
        for reset in ["null", "\"soon\"", "-1", "1e300", "99999999999", "1000000", "999999"] {
            check(&[&detected("pi", "rate_limit_account", reset)], &[]);
        }
        check(&[&detected("pi", "rate_limit_account", "1000001")], &[("pi", 1_000_001)]);
    }
}
