//! `oauth_fail`: the provider refuses the login; every further round burns quota for nothing.

use serde_json::json;

use super::{Blind, Detector, Found};
use crate::witness::alert::{AutoAction, Severity};
use crate::witness::snapshot::{Evidence, Exit, Snapshot};
use crate::witness::thresholds::{AUTH_IN_A_ROW, EXITS, FAILURE_RATE};

/// The table entry. A failure is certain when the agent reported it, or when a short exit's log matches an auth
/// pattern. Failures this detector has already stopped the service for do not stop it again, and are past once a round
/// after that stop could log in.
pub(super) const DETECTOR: Detector = Detector {
    name: "oauth_fail",
    severity: Severity::Critical,
    action: AutoAction::StopService,
    identity: &[],
    fires: "a fifth of the last 10 rounds, or 3 rounds in a row, could not log in",
    reads: "agent_auth_error_detected, agent_exit, rounds/R<N>-*.log",
    thresholds: |_| format!("window {EXITS}, rate {FAILURE_RATE}, {AUTH_IN_A_ROW} in a row"),
    detect: |snapshot, thresholds, _| {
        let exits = &snapshot.exits;
        let failed: Vec<bool> = exits.iter().map(|exit| refused(snapshot, exit)).collect();
        let matches = failed.iter().filter(|failed| **failed).count();
        let in_a_row = failed.iter().rev().take_while(|failed| **failed).count();
        let rate = matches as f64 / EXITS as f64;
        let message = if exits.len() >= EXITS && rate >= FAILURE_RATE {
            format!("{matches}/{EXITS} recent rounds failed auth (>{:.0}%)", FAILURE_RATE * 100.0)
        } else if in_a_row >= AUTH_IN_A_ROW {
            format!("{in_a_row}/{in_a_row} newest rounds in a row failed auth")
        } else {
            return unread(exits.iter().filter(|exit| exit.is_short()));
        };
        let context = [
            ("matches", json!(matches)),
            ("window", json!(exits.len())),
            ("threshold", json!(FAILURE_RATE)),
            ("in_a_row", json!(in_a_row)),
            ("hint", json!(thresholds.auth_fail_hint)),
        ];
        let found = Found::new(message, context);
        let newest =
            exits.iter().zip(&failed).rev().find(|(_, failed)| **failed).and_then(|(exit, _)| exit.at);
        if !snapshot.acted_on(DETECTOR.name, newest) {
            return Ok(vec![found]);
        }
        let logged_in_since =
            exits.back().is_some_and(|exit| exit.at.is_some() && !snapshot.acted_on(DETECTOR.name, exit.at));
        if logged_in_since {
            return unread(exits.iter().filter(|exit| exit.is_short()));
        }
        Ok(vec![found.with_action(AutoAction::None)])
    },
};

fn refused(snapshot: &Snapshot, exit: &Exit) -> bool {
    snapshot.auth_reported.contains(&exit.round_num)
        || (exit.is_short() && matches!(&exit.log, Evidence::Read(matches) if matches.auth))
}

/// Without an alert, a log that could not be read means that nobody knows.
pub(super) fn unread<'a>(mut exits: impl Iterator<Item = &'a Exit>) -> Result<Vec<Found>, Blind> {
    let unreadable = exits.find_map(|exit| match &exit.log {
        Evidence::Unreadable(reason) => Some(format!("the log of round {}: {reason}", exit.round_num)),
        Evidence::Unread | Evidence::Read(_) => None,
    });
    unreadable.map_or(Ok(Vec::new()), |reason| Err(Blind(reason)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{Exit, Fires, GOOD, SHORT, Story, thresholds};
    use super::DETECTOR;
    use crate::witness::alert::AutoAction;
    use crate::witness::snapshot::{Evidence, Matches};

    const REFUSED: Exit = Exit { log: Matches { auth: true, network: false }, ..SHORT };

    fn story(rounds: &[&Exit]) -> Story {
        (1..).zip(rounds).fold(Story::new(), |story, (n, exit)| story.round(n, exit))
    }

    #[test]
    fn fires_from_two_of_ten_on() {
        let mut rounds = vec![&GOOD; 10];
        rounds[2] = &REFUSED;
        story(&rounds).check(&DETECTOR, Fires::No);
        rounds[4] = &REFUSED;
        story(&rounds).check(&DETECTOR, Fires::Yes);
        story(&rounds[..9]).check(&DETECTOR, Fires::No);
    }

    #[test]
    fn fires_after_three_in_a_row_on_a_fresh_host() {
        story(&[&REFUSED; 2]).check(&DETECTOR, Fires::No);
        story(&[&REFUSED; 3]).check(&DETECTOR, Fires::Yes);
        story(&[&REFUSED, &REFUSED, &GOOD]).check(&DETECTOR, Fires::No);
        let alert = story(&[&GOOD, &REFUSED, &REFUSED, &REFUSED]).alert(&DETECTOR).unwrap();
        assert_eq!(alert.message, "3/3 newest rounds in a row failed auth");
        assert_eq!(alert.context["hint"], "log in again");
    }

    #[test]
    fn an_agents_report_counts_with_any_exit_code_and_words_only_in_a_short_exit() {
        let reported = (1..=3).fold(Story::new(), |story, n| {
            story.round(n, &GOOD).event("agent_auth_error_detected", json!({"round_num": n}))
        });
        reported.check(&DETECTOR, Fires::Yes);
        let long = Exit { duration_s: 60.0, ..REFUSED };
        story(&[&long; 3]).check(&DETECTOR, Fires::No);
        let just_short = Exit { duration_s: 59.9, ..REFUSED };
        story(&[&just_short; 3]).check(&DETECTOR, Fires::Yes);
        let timed_out = Exit { timed_out: true, ..REFUSED };
        story(&[&timed_out; 3]).check(&DETECTOR, Fires::No);
    }

    #[test]
    fn the_same_failures_stop_the_service_once() {
        let failed = story(&[&REFUSED; 3]);
        assert_eq!(failed.alert(&DETECTOR).unwrap().auto_action, AutoAction::StopService);
        let stopped = failed.event("monitor_auto_stop_triggered", json!({"detector": "oauth_fail"}));
        assert_eq!(stopped.alert(&DETECTOR).unwrap().auto_action, AutoAction::None);
        let again = stopped.round(4, &REFUSED);
        assert_eq!(again.alert(&DETECTOR).unwrap().auto_action, AutoAction::StopService);
    }

    #[test]
    fn a_renewed_login_ends_the_episode_though_the_window_still_holds_the_failures() {
        let stopped =
            story(&[&REFUSED; 3]).event("monitor_auto_stop_triggered", json!({"detector": "oauth_fail"}));
        let renewed = (4..=10).fold(stopped, |story, n| {
            let story = story.round(n, &GOOD);
            story.check(&DETECTOR, Fires::No);
            story
        });
        let again = renewed.round(11, &REFUSED);
        assert_eq!(
            again.alert(&DETECTOR).unwrap().auto_action,
            AutoAction::StopService,
            "3 of 10, one of them new"
        );
    }

    #[test]
    fn a_log_nobody_can_read_is_told_and_hides_no_certain_failure() {
        let mut unreadable = story(&[&SHORT]);
        unreadable.snapshot.exits[0].log = Evidence::Unreadable("permission denied".into());
        assert!((DETECTOR.detect)(&unreadable.snapshot, &thresholds(), unreadable.at).is_err());
        let certain = (2..=4).fold(unreadable, |story, n| story.round(n, &REFUSED));
        certain.check(&DETECTOR, Fires::Yes);
    }
}
