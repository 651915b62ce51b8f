//! `network_fail`: rounds fail for the network.

use serde_json::json;

use super::oauth_fail::unread;
use super::{Detector, Found};
use crate::witness::alert::{AutoAction, Severity};
use crate::witness::snapshot::Evidence;
use crate::witness::thresholds::{EXITS, FAILURE_RATE};

/// The table entry.
pub(super) const DETECTOR: Detector = Detector {
    name: "network_fail",
    severity: Severity::Warning,
    action: AutoAction::None,
    identity: &[],
    fires: "a fifth of the last 10 rounds failed within a minute with a network error in their log",
    reads: "agent_exit, rounds/R<N>-*.log",
    thresholds: |_| format!("window {EXITS}, rate {FAILURE_RATE}"),
    detect: |snapshot, _, _| {
        let exits = &snapshot.exits;
        let matches = exits
            .iter()
            .filter(|exit| exit.is_short() && matches!(&exit.log, Evidence::Read(matches) if matches.network))
            .count();
        let rate = matches as f64 / EXITS as f64;
        if exits.len() < EXITS || rate < FAILURE_RATE {
            return unread(exits.iter().filter(|exit| exit.is_short()));
        }
        let message = format!("{matches}/{EXITS} recent rounds failed with a network error pattern");
        let context = [
            ("matches", json!(matches)),
            ("window", json!(EXITS)),
            ("threshold", json!(FAILURE_RATE)),
            ("hint", json!("check the host's network, name resolution and proxy")),
        ];
        Ok(vec![Found::new(message, context)])
    },
};

#[cfg(test)]
mod tests {
    use super::super::fixture::{Exit, Fires, GOOD, SHORT, Story};
    use super::DETECTOR;
    use crate::witness::snapshot::Matches;

    const CUT: Exit = Exit { log: Matches { auth: false, network: true }, ..SHORT };

    fn check(rounds: &[&Exit], fires: Fires) {
        let story = (1..).zip(rounds).fold(Story::new(), |story, (n, exit)| story.round(n, exit));
        story.check(&DETECTOR, fires);
    }

    #[test]
    fn fires_from_two_short_exits_of_ten_on() {
        let mut rounds = vec![&GOOD; 10];
        rounds[0] = &CUT;
        check(&rounds, Fires::No);
        rounds[9] = &CUT;
        check(&rounds, Fires::Yes);
        rounds[5] = &CUT;
        check(&rounds, Fires::Yes);
        check(&rounds[1..], Fires::No);
        let long = Exit { duration_s: 60.0, ..CUT };
        check(&[&long; 10], Fires::No);
    }
}
