//! What the demo waits for: work on every host, then one expired login, its stop, and the others going on. Pure.

use std::collections::BTreeMap;

use agent_runner::event::ended_well;
use serde_json::Value;

use crate::fleetview::told::Told;

/// Rounds every host shall have done before the login expires, and again after the stop.
const ROUNDS: usize = 2;

/// What shall happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cue {
    /// Nothing yet.
    Wait,
    /// Everybody works: let the login expire.
    Expire,
    /// The story is told.
    End,
}

/// How far the story is.
#[derive(Debug, Clone, Default)]
pub struct Story {
    victim: String,
    /// Rounds that ended well, per host.
    pub good: BTreeMap<String, usize>,
    /// Rounds that ended badly, per host.
    pub bad: BTreeMap<String, usize>,
    /// Hosts that were stopped.
    pub stopped: Vec<String>,
    expired: bool,
    /// Good rounds of the others at the time of the stop.
    at_stop: Option<BTreeMap<String, usize>>,
}

impl Story {
    /// Returns the beginning of a story on `hosts`, one of which is the `victim`.
    pub fn new(hosts: &[&str], victim: &str) -> Story {
        let good = hosts.iter().map(|host| ((*host).to_owned(), 0)).collect();
        Story { victim: victim.to_owned(), good, ..Story::default() }
    }

    /// Takes what became known and returns what shall happen.
    pub fn hear(&mut self, told: &[Told]) -> Cue {
        for one in told {
            match one {
                Told::Event { stream, event, .. } if event["event"] == "agent_exit" => {
                    let well = event.get("exit_cause").and_then(Value::as_str).is_some_and(ended_well);
                    let rounds = if well { &mut self.good } else { &mut self.bad };
                    *rounds.entry(stream.host.to_string()).or_default() += 1;
                }
                Told::Stopped { stream, .. } => {
                    self.stopped.push(stream.host.to_string());
                    self.at_stop.get_or_insert_with(|| self.good.clone());
                }
                Told::Event { .. }
                | Told::Fired { .. }
                | Told::Changed { .. }
                | Told::Notify(_)
                | Told::Rebooted { .. }
                | Told::Resumed { .. }
                | Told::Resolved { .. }
                | Told::State { .. }
                | Told::LinkUp { .. }
                | Told::LinkDown { .. }
                | Told::StopWanted { .. }
                | Told::StopFailed { .. }
                | Told::BrakeEngaged { .. } => {}
            }
        }
        self.cue()
    }

    /// Returns whether everything was seen, and exactly the victim was stopped.
    pub fn is_told(&self) -> bool {
        self.stopped == [self.victim.clone()] && self.others_went_on()
    }

    fn cue(&mut self) -> Cue {
        if !self.expired && self.good.values().all(|&rounds| rounds >= ROUNDS) {
            self.expired = true;
            return Cue::Expire;
        }
        if self.is_told() { Cue::End } else { Cue::Wait }
    }

    fn others_went_on(&self) -> bool {
        let Some(before) = &self.at_stop else { return false };
        let mut others = self.good.iter().filter(|(host, _)| **host != self.victim);
        others.all(|(host, &rounds)| rounds >= before.get(host).copied().unwrap_or_default() + ROUNDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleetview::state::StreamId;
    use agent_runner::store::follow::Cursor;
    use serde_json::json;

    fn id(host: &str) -> StreamId {
        StreamId { host: host.into(), project: "demo".into() }
    }

    fn round(host: &str, cause: &str) -> Told {
        let event = json!({"event": "agent_exit", "exit_cause": cause});
        Told::Event { stream: id(host), cursor: Cursor::at("f", 1), event }
    }

    #[test]
    fn the_login_expires_once_all_work_and_the_story_ends_when_the_others_went_on() {
        let mut story = Story::new(&["a", "b"], "b");
        assert_eq!(story.hear(&[round("a", "clean"), round("a", "clean"), round("b", "clean")]), Cue::Wait);
        assert_eq!(story.hear(&[round("b", "clean")]), Cue::Expire);
        assert_eq!(story.hear(&[round("b", "error")]), Cue::Wait);
        let stopped = Told::Stopped {
            stream: id("b"),
            detector: "oauth_fail".into(),
            by: crate::fleetview::told::StoppedBy::Controller,
        };
        assert_eq!(story.hear(&[stopped, round("a", "clean")]), Cue::Wait);
        assert_eq!(story.hear(&[round("a", "clean")]), Cue::End);
        assert!(story.is_told());
    }
}
