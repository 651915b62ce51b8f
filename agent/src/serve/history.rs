//! What the Loop remembers of the event log: throttles, who reports usage, memory episodes, and what happened since
//! the newest round began. Folded from new lines only. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::provider::throttle::Throttles;
use crate::store::record::{Record, glance};

/// Seconds within which three `mem_loop` are one persistent problem.
pub const MEM_LOOP_WINDOW_S: i64 = 7200;

/// Agents remembered at most: a log that names more is damaged.
const AGENTS_MAX: usize = 256;

/// `mem_loop` events remembered at most; two within the window already decide.
const EPISODES_MAX: usize = 16;

/// The Loop's memory of the log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The transient errors.
    pub throttles: Throttles,
    reporters: BTreeSet<String>,
    mem_loops: Vec<Timestamp>,
    mem_terminated: bool,
    refused: bool,
    used_by: BTreeSet<String>,
}

impl History {
    /// Takes one line of the log into account, in the order of the log; what does not matter is not even parsed.
    pub fn apply_line(&mut self, line: &[u8]) {
        let line = line.trim_ascii_end();
        if glance(line).is_none_or(|(_, kind)| concerns(kind))
            && let Some(record) = Record::parse(line)
        {
            self.apply(&record);
        }
    }

    /// Takes one record into account, in the order of the log.
    pub fn apply(&mut self, record: &Record) {
        self.throttles.apply(record);
        match record.kind.as_str() {
            "round_substrate_before" => {
                self.mem_terminated = false;
                self.refused = false;
                self.used_by.clear();
            }
            "round_mem_terminated" => self.mem_terminated = true,
            "agent_auth_error_detected" => self.refused = true,
            "agent_usage_recorded" if self.reporters.len() < AGENTS_MAX => {
                let agent = record.str("agent").unwrap_or_default();
                self.reporters.insert(agent.to_owned());
                self.used_by.insert(agent.to_owned());
            }
            "mem_loop" => {
                self.mem_loops.extend(record.time());
                let surplus = self.mem_loops.len().saturating_sub(EPISODES_MAX);
                self.mem_loops.drain(..surplus);
            }
            _ => {}
        }
    }

    /// Returns whether the newest round was ended for memory.
    pub fn is_mem_terminated(&self) -> bool {
        self.mem_terminated
    }

    /// Returns whether the newest round reported a refused login.
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// Returns whether the agent (any when `None`) is known to report what it uses.
    pub fn reports_usage(&self, agent: Option<&str>) -> bool {
        agent.map_or(!self.reporters.is_empty(), |name| self.reporters.contains(name))
    }

    /// Returns whether the agent (any when `None`) has reported use since the newest round began.
    pub fn has_used(&self, agent: Option<&str>) -> bool {
        agent.map_or(!self.used_by.is_empty(), |name| self.used_by.contains(name))
    }

    /// Returns how many `mem_loop` lie in the window that ends now.
    pub fn recent_mem_loops(&self, now: Timestamp) -> u32 {
        let start = now.as_second() - MEM_LOOP_WINDOW_S;
        let recent = self.mem_loops.iter().filter(|at| at.as_second() >= start && **at <= now).count();
        u32::try_from(recent).unwrap_or(u32::MAX)
    }
}

fn concerns(kind: &str) -> bool {
    const KINDS: [&str; 7] = [
        "transient_error_detected",
        "transient_error_recovered",
        "agent_auth_error_detected",
        "agent_usage_recorded",
        "round_substrate_before",
        "round_mem_terminated",
        "mem_loop",
    ];
    KINDS.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(lines: &[&str]) -> History {
        let mut history = History::default();
        for line in lines {
            history.apply_line(line.as_bytes());
        }
        history
    }

    const BEFORE: &str =
        r#"{"ts": "2026-01-01T00:00:00.000Z", "event": "round_substrate_before", "round_num": 1}"#;
    const USAGE: &str =
        r#"{"ts": "2026-01-01T00:00:01.000Z", "event": "agent_usage_recorded", "agent": "pi"}"#;
    const KILLED: &str = r#"{"ts": "2026-01-01T00:00:02.000Z", "event": "round_mem_terminated", "pid": 1}"#;

    const REFUSED: &str =
        r#"{"ts": "2026-01-01T00:00:02.000Z", "event": "agent_auth_error_detected", "round_num": 1}"#;

    #[test]
    fn a_new_round_forgets_what_happened_in_the_last_one() {
        let all = history(&[BEFORE, USAGE, KILLED, REFUSED]);
        assert!(
            all.is_mem_terminated() && all.is_refused() && all.has_used(Some("pi")) && all.has_used(None)
        );
        assert!(!all.has_used(Some("claude")));
        let next = history(&[BEFORE, USAGE, KILLED, REFUSED, BEFORE]);
        assert!(!next.is_mem_terminated() && !next.is_refused() && !next.has_used(None));
        assert!(next.reports_usage(Some("pi")) && next.reports_usage(None) && !next.reports_usage(Some("x")));
    }

    #[test]
    fn memory_episodes_leave_the_window() {
        let line = r#"{"ts": "2026-01-01T00:00:00.000Z", "event": "mem_loop"}"#;
        let two = history(&[line, line]);
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(two.recent_mem_loops(at("2026-01-01T02:00:00Z")), 2);
        assert_eq!(two.recent_mem_loops(at("2026-01-01T02:00:01Z")), 0);
    }

    #[test]
    fn lines_of_another_shape_count_as_well() {
        let spaced = r#"{"event":"round_mem_terminated","ts":"2026-01-01T00:00:00Z"}"#;
        assert!(history(&[spaced]).is_mem_terminated());
        assert!(!history(&["{broken", "", "[]", "{\"ts\": \""]).is_mem_terminated());
        assert!(history(&[&format!("{KILLED}\n")]).is_mem_terminated());
    }
}
