//! What a stream's events tell of its rounds, and a bounded trend of its host's figures. Pure.

use std::collections::VecDeque;

use agent_runner::store::time;
use agent_runner::witness::stream::State;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// Rounds kept per stream: a timeline's worth.
pub const ROUNDS: usize = 48;
/// Points kept per stream: a day's worth.
pub const POINTS: usize = 288;
/// Seconds a point stands for.
pub const POINT_S: i64 = 300;

/// One round, as far as its events were seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Round {
    /// Its number.
    pub number: i64,
    /// Its phase.
    pub phase: Option<String>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// When the agent ended, or else the round did.
    pub ended: Option<Timestamp>,
    /// How the agent ended: `clean`, `error`, `timeout` or what else the event says.
    pub cause: Option<String>,
    /// The agent's exit code.
    pub exit_code: Option<i64>,
    /// How long the agent ran, in seconds.
    pub duration_s: Option<f64>,
    /// What it cost in US dollars.
    pub cost_usd: Option<f64>,
}

/// The newest rounds of a stream, the newest last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rounds {
    ring: VecDeque<Round>,
    /// The wall clock of the newest round, in seconds.
    pub timeout_s: Option<i64>,
    /// When a round last ended, by the host's clock; never later than it was heard of.
    pub last_end: Option<Timestamp>,
}

impl Rounds {
    /// Returns them, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Round> + ExactSizeIterator {
        self.ring.iter()
    }

    /// Takes an event of the log, as an object with `ts` and `event`, heard of at `now`.
    pub fn take(&mut self, event: &Value, now: Timestamp) {
        let text = |key| event.get(key).and_then(Value::as_str);
        let (Some(kind), Some(number)) = (text("event"), event.get("round_num").and_then(Value::as_i64))
        else {
            return;
        };
        let at = text("ts").and_then(time::parse);
        match kind {
            "round_start" => {
                let round = self.round(number);
                round.started = at;
                round.phase = text("phase").map(str::to_owned);
            }
            "agent_spawn" => self.timeout_s = event.get("timeout_s").and_then(Value::as_i64),
            "agent_exit" => {
                let round = self.round(number);
                round.ended = at;
                round.cause = text("exit_cause").map(str::to_owned);
                round.exit_code = event.get("exit_code").and_then(Value::as_i64);
                round.duration_s = event.get("duration_s").and_then(Value::as_f64);
                self.last_end = self.last_end.max(at.map(|at| at.min(now)));
            }
            "agent_usage_recorded" => {
                if let Some(cost) = event.get("cost_usd").and_then(Value::as_f64) {
                    let round = self.round(number);
                    round.cost_usd = Some(round.cost_usd.unwrap_or_default() + cost);
                }
            }
            "round_end" => {
                let round = self.round(number);
                round.ended = round.ended.or(at);
                self.last_end = self.last_end.max(at.map(|at| at.min(now)));
            }
            _ => {}
        }
    }

    fn round(&mut self, number: i64) -> &mut Round {
        let known = self.ring.iter().rposition(|round| round.number == number);
        let place = known.unwrap_or_else(|| {
            if self.ring.len() >= ROUNDS {
                self.ring.pop_front();
            }
            self.ring.push_back(Round {
                number,
                phase: None,
                started: None,
                ended: None,
                cause: None,
                exit_code: None,
                duration_s: None,
                cost_usd: None,
            });
            self.ring.len() - 1
        });
        self.ring.get_mut(place).expect("the place was found or just made")
    }
}

/// Figures of five minutes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// When the five minutes began.
    pub at: Timestamp,
    /// Percent of the log dir's disk in use, the last of them.
    pub disk_used_pct: Option<f64>,
    /// Memory available, the last of them.
    pub mem_available_mb: Option<i64>,
    /// What the rounds that ended in them cost, in US dollars.
    pub cost_usd: f64,
}

/// Figures over time, the newest last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trend {
    points: VecDeque<Point>,
}

impl Trend {
    /// Returns them, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Point> + ExactSizeIterator {
        self.points.iter()
    }

    /// Takes the state's figures.
    pub fn take_state(&mut self, state: &State, now: Timestamp) {
        let point = self.point(now);
        point.disk_used_pct = state.disk_used_pct.or(point.disk_used_pct);
        point.mem_available_mb = state.mem_available_mb.or(point.mem_available_mb);
    }

    /// Takes what an event says of cost.
    pub fn take_event(&mut self, event: &Value, now: Timestamp) {
        if let Some(cost) = event.get("cost_usd").and_then(Value::as_f64) {
            let at = event.get("ts").and_then(Value::as_str).and_then(time::parse).unwrap_or(now);
            self.point(at).cost_usd += cost;
        }
    }

    /// The point of an instant; an instant before the newest point counts to the newest.
    fn point(&mut self, at: Timestamp) -> &mut Point {
        let begin = at.as_second() - at.as_second().rem_euclid(POINT_S);
        if self.points.back().is_none_or(|newest| newest.at.as_second() < begin) {
            if self.points.len() >= POINTS {
                self.points.pop_front();
            }
            let at = Timestamp::from_second(begin).unwrap_or(at);
            self.points.push_back(Point { at, disk_used_pct: None, mem_available_mb: None, cost_usd: 0.0 });
        }
        self.points.back_mut().expect("there is at least the one just made")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rounds_events_become_one_entry_and_old_rounds_go() {
        let now: Timestamp = "2026-03-01T00:00:40Z".parse().unwrap();
        let mut rounds = Rounds::default();
        let mut take = |event: Value| rounds.take(&event, now);
        for number in 1..=100 {
            let ts = "2026-03-01T00:00:30.000Z";
            take(json!({"ts": ts, "event": "round_start", "round_num": number, "phase": "p"}));
            take(json!({"ts": ts, "event": "agent_spawn", "round_num": number, "timeout_s": 60}));
            take(json!({"ts": ts, "event": "agent_exit", "round_num": number, "exit_code": 0,
                "duration_s": 2.5, "exit_cause": "clean"}));
            take(json!({"ts": ts, "event": "agent_usage_recorded", "round_num": number, "cost_usd": 0.5}));
        }
        assert_eq!(rounds.iter().len(), ROUNDS);
        let last = rounds.iter().next_back().unwrap();
        assert_eq!((last.number, last.exit_code, last.cost_usd), (100, Some(0), Some(0.5)));
        assert_eq!(rounds.timeout_s, Some(60));
        assert!(last.ended.is_some() && rounds.last_end.is_some());
    }

    #[test]
    fn an_end_that_lies_in_the_future_is_as_old_as_the_word_of_it() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for kind in ["agent_exit", "round_end"] {
            for (second, expected) in [(999_000, 999_000), (1_000_000, 1_000_000), (9_000_000, 1_000_000)] {
                let ts = time::stamp(Timestamp::from_second(second).unwrap());
                let mut rounds = Rounds::default();
                rounds.take(&json!({"ts": ts, "event": kind, "round_num": 1}), now);
                assert_eq!(rounds.last_end.map(Timestamp::as_second), Some(expected), "{kind}");
            }
        }
    }

    #[test]
    fn figures_of_five_minutes_are_one_point_and_old_points_go() {
        let mut trend = Trend::default();
        for second in 0..(POINT_S * 400) {
            if second % 60 == 0 {
                let now = Timestamp::from_second(second).unwrap();
                trend.take_event(&json!({"cost_usd": 1.0}), now);
            }
        }
        assert_eq!(trend.iter().len(), POINTS);
        assert!(trend.iter().all(|point| point.cost_usd == 5.0));
        trend.take_event(&json!({"cost_usd": 1.0}), Timestamp::UNIX_EPOCH);
        assert_eq!(
            trend.iter().next_back().unwrap().cost_usd,
            6.0,
            "a clock that went back makes no new point"
        );
    }
}
