//! Alerts have a life: an identity that appears begins, one that is absent from a whole poll is over. Pure.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::alert::{Alert, AutoAction};
use super::detectors::Evaluation;

/// Identities remembered; the oldest is given up for a new one.
const FIRING_MAX: usize = 512;

/// The alerts that fire, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct Episodes {
    firing: VecDeque<Episode>,
}

#[derive(Debug, Clone)]
struct Episode {
    identity: String,
    alert: Alert,
    since: Timestamp,
    stop: Stop,
}

/// What an episode wants of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// It has never asked for a stop.
    NotAsked,
    /// A stop is due, or was asked for and the service still drains its round.
    Due,
    /// The answer is recorded; it comes up again only when the alert does.
    Settled,
}

/// What one poll changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An alert begins.
    Begun {
        /// What distinguishes it.
        identity: String,
        /// The alert.
        alert: Alert,
    },
    /// An alert that asked for nothing now asks for a stop: there is new evidence.
    Sharpened {
        /// What distinguishes it.
        identity: String,
        /// The alert.
        alert: Alert,
    },
    /// An alert is over.
    Resolved {
        /// The detector.
        detector: String,
        /// What distinguished it.
        identity: String,
        /// Seconds it fired; 0 when the clock went back meanwhile.
        firing_for_s: i64,
    },
}

/// How an attempt to stop the service ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopOutcome {
    /// It is not active any more.
    Stopped,
    /// It finishes its round first and will then be gone.
    Draining,
    /// It is still active, or nobody could tell; why.
    Failed(String),
}

impl Episodes {
    /// Takes a poll's evaluation in. What a detector could not judge stays as it was.
    pub fn observe(&mut self, evaluation: &Evaluation, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        self.firing.retain(|episode| {
            let present = evaluation.alerts.iter().any(|(identity, _)| *identity == episode.identity);
            let unknown = evaluation.blind.iter().any(|(detector, _)| *detector == episode.alert.detector);
            if !present && !unknown {
                changes.push(episode.resolved(now));
            }
            present || unknown
        });
        for (identity, alert) in &evaluation.alerts {
            if let Some(episode) = self.firing.iter_mut().find(|episode| episode.identity == *identity) {
                if episode.update(alert) {
                    let alert = episode.alert.clone();
                    changes.push(Change::Sharpened { identity: identity.clone(), alert });
                }
                continue;
            }
            if self.firing.len() >= FIRING_MAX {
                changes.extend(self.firing.pop_front().map(|oldest| oldest.resolved(now)));
            }
            let mut episode = Episode {
                identity: identity.clone(),
                alert: alert.clone(),
                since: now,
                stop: Stop::NotAsked,
            };
            episode.update(alert);
            self.firing.push_back(episode);
            changes.push(Change::Begun { identity: identity.clone(), alert: alert.clone() });
        }
        changes
    }

    /// Returns the detectors that want the service stopped, of those that may.
    pub fn due_stops(&self, auto_stop_on: &[String]) -> Vec<String> {
        let due = self.firing.iter().filter(|episode| episode.stop == Stop::Due);
        let detectors = due.map(|episode| episode.alert.detector.clone());
        detectors.filter(|detector| auto_stop_on.contains(detector)).collect()
    }

    /// Takes the outcome of a stop for a detector in: only a service that drains is asked again.
    pub fn stop_attempted(&mut self, detector: &str, outcome: &StopOutcome) {
        for episode in self.firing.iter_mut().filter(|episode| episode.alert.detector == detector) {
            match outcome {
                StopOutcome::Stopped | StopOutcome::Failed(_) => episode.stop = Stop::Settled,
                StopOutcome::Draining => {}
            }
        }
    }

    /// Returns the alerts that fire, the oldest first, each with its identity.
    pub fn firing(&self) -> impl Iterator<Item = (&str, &Alert)> {
        self.firing.iter().map(|episode| (episode.identity.as_str(), &episode.alert))
    }
}

impl Episode {
    /// Takes today's figures over and returns whether a stop is due that was not.
    fn update(&mut self, alert: &Alert) -> bool {
        // The alert keeps the moment it began; its figures are today's.
        let ts = std::mem::take(&mut self.alert.ts);
        self.alert = Alert { ts, ..alert.clone() };
        match (alert.auto_action, self.stop) {
            (AutoAction::StopService, Stop::NotAsked) => {
                self.stop = Stop::Due;
                return true;
            }
            // What it shows has been acted on; more of it asks anew.
            (AutoAction::None, Stop::Due | Stop::Settled) => self.stop = Stop::NotAsked,
            (AutoAction::StopService, Stop::Due | Stop::Settled) | (AutoAction::None, Stop::NotAsked) => {}
        }
        false
    }

    fn resolved(&self, now: Timestamp) -> Change {
        Change::Resolved {
            detector: self.alert.detector.clone(),
            identity: self.identity.clone(),
            firing_for_s: now.duration_since(self.since).as_secs().max(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::alert::Severity;
    use crate::witness::detectors::Blind;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn alert(detector: &str, auto_action: AutoAction) -> Alert {
        Alert {
            severity: Severity::Critical,
            detector: detector.into(),
            message: String::new(),
            context: serde_json::Map::new(),
            ts: "then".into(),
            auto_action,
        }
    }

    fn found(identities: &[&str]) -> Evaluation {
        let detector = |identity: &str| identity.split(':').next().unwrap_or_default().to_owned();
        let alerts = identities
            .iter()
            .map(|identity| ((*identity).to_owned(), alert(&detector(identity), AutoAction::StopService)));
        Evaluation { alerts: alerts.collect(), blind: Vec::new() }
    }

    fn observe(episodes: &mut Episodes, evaluation: &Evaluation, second: i64) -> Vec<String> {
        let name = |change: Change| match change {
            Change::Begun { identity, .. } => format!("+{identity}"),
            Change::Sharpened { identity, .. } => format!("!{identity}"),
            Change::Resolved { identity, firing_for_s, .. } => format!("-{identity} {firing_for_s}"),
        };
        episodes.observe(evaluation, at(second)).into_iter().map(name).collect()
    }

    #[test]
    fn an_alert_begins_once_ends_once_and_may_come_again() {
        let mut episodes = Episodes::default();
        assert_eq!(observe(&mut episodes, &found(&["hung:1"]), 0), ["+hung:1"]);
        assert!(observe(&mut episodes, &found(&["hung:1"]), 30).is_empty());
        assert_eq!(observe(&mut episodes, &found(&["hung:2"]), 60), ["-hung:1 60", "+hung:2"]);
        assert_eq!(observe(&mut episodes, &found(&[]), 90), ["-hung:2 30"]);
        assert_eq!(observe(&mut episodes, &found(&["hung:1"]), 120), ["+hung:1"]);
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_negative_time() {
        let mut episodes = Episodes::default();
        observe(&mut episodes, &found(&["hung:1"]), 3600);
        assert_eq!(observe(&mut episodes, &found(&[]), 0), ["-hung:1 0"]);
    }

    #[test]
    fn what_cannot_be_judged_is_not_over() {
        let mut episodes = Episodes::default();
        observe(&mut episodes, &found(&["oauth_fail", "hung:1"]), 0);
        let blind = Evaluation { alerts: Vec::new(), blind: vec![("oauth_fail", Blind("no access".into()))] };
        assert_eq!(observe(&mut episodes, &blind, 30), ["-hung:1 30"]);
        assert_eq!(observe(&mut episodes, &found(&[]), 60), ["-oauth_fail 60"]);
    }

    #[test]
    fn ten_thousand_alerts_stay_bounded_and_each_ends() {
        let mut episodes = Episodes::default();
        let identities: Vec<String> = (0..10_000).map(|n| format!("hung:{n}")).collect();
        let identities: Vec<&str> = identities.iter().map(String::as_str).collect();
        let begun = observe(&mut episodes, &found(&identities), 0);
        assert_eq!(begun.iter().filter(|change| change.starts_with('+')).count(), 10_000);
        assert_eq!(episodes.firing().count(), FIRING_MAX);
        let over = observe(&mut episodes, &found(&[]), 30);
        let ended = begun.iter().chain(&over).filter(|change| change.starts_with('-')).count();
        assert_eq!(ended, 10_000);
    }

    #[test]
    fn a_draining_service_is_asked_again_and_a_settled_one_is_not() {
        for (outcome, asked_again) in [
            (StopOutcome::Draining, true),
            (StopOutcome::Stopped, false),
            (StopOutcome::Failed("no bus".into()), false),
        ] {
            let mut episodes = Episodes::default();
            let allowed = ["oauth_fail".to_owned()];
            observe(&mut episodes, &found(&["oauth_fail", "disk_critical"]), 0);
            assert_eq!(episodes.due_stops(&allowed), ["oauth_fail"]);
            episodes.stop_attempted("oauth_fail", &outcome);
            assert!(observe(&mut episodes, &found(&["oauth_fail", "disk_critical"]), 30).is_empty());
            assert_eq!(episodes.due_stops(&allowed).len(), usize::from(asked_again), "{outcome:?}");
            // Over, and there again: everything is new.
            observe(&mut episodes, &found(&[]), 60);
            observe(&mut episodes, &found(&["oauth_fail"]), 90);
            assert_eq!(episodes.due_stops(&allowed), ["oauth_fail"]);
        }
    }

    #[test]
    fn evidence_that_was_acted_on_asks_for_nothing_until_there_is_more() {
        let mut episodes = Episodes::default();
        let quiet = Evaluation {
            alerts: vec![("oauth_fail".into(), alert("oauth_fail", AutoAction::None))],
            blind: vec![],
        };
        let allowed = ["oauth_fail".to_owned()];
        for second in [0, 60] {
            observe(&mut episodes, &quiet, second);
            assert!(episodes.due_stops(&allowed).is_empty());
            assert_eq!(observe(&mut episodes, &found(&["oauth_fail"]), second + 30), ["!oauth_fail"]);
            assert_eq!(episodes.due_stops(&allowed), ["oauth_fail"]);
            episodes.stop_attempted("oauth_fail", &StopOutcome::Stopped);
            assert!(episodes.due_stops(&allowed).is_empty());
        }
    }
}
