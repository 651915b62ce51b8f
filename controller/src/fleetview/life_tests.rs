//! The life of alerts, as tables.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it looks for; the rest is everything else"
)]

use std::collections::{BTreeMap, BTreeSet};

use agent_runner::witness::alert::Severity;
use jiff::Timestamp;
use serde_json::Map;

use super::alert::{Ack, Key, Phase, Subject};
use super::life::{Alerts, Observation, Rules, Seen};
use super::silence::Silence;
use super::state::StreamId;
use super::told::{NoticeKind, Told};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn subject(name: &str) -> Subject {
    match name.split_once('/') {
        Some((host, project)) => Subject::Stream(StreamId { host: host.into(), project: project.into() }),
        None if name.starts_with('@') => Subject::Account(name[1..].into()),
        None => Subject::Host(name.into()),
    }
}

/// `pi1/p hung` is a warning, `pi1/p hung!` a critical one.
fn observation(raised: &[&str], known: &[&str]) -> Observation {
    let raised = raised.iter().map(|text| {
        let (subject_name, detector) = text.split_once(' ').unwrap();
        let severity = if detector.ends_with('!') { Severity::Critical } else { Severity::Warning };
        let seen = Seen {
            account: Some("team".into()),
            severity,
            message: "m".into(),
            context: Map::new(),
            for_s: 0,
        };
        (Key::new(subject(subject_name), detector.trim_end_matches('!')), seen)
    });
    Observation {
        raised: raised.collect::<BTreeMap<_, _>>(),
        known: known.iter().map(|name| subject(name)).collect::<BTreeSet<_>>(),
    }
}

fn words(told: &[Told]) -> Vec<String> {
    told.iter()
        .filter_map(|told| match told {
            Told::Fired { alert } => Some(format!("fired {}", alert.key.detector)),
            Told::Resolved { alert } => Some(format!("resolved {}", alert.key.detector)),
            Told::Notify(notice) => {
                let kind = match notice.kind {
                    NoticeKind::Fired => "fired",
                    NoticeKind::Repeated => "repeated",
                    NoticeKind::Resolved => "resolved",
                };
                Some(format!("send {kind} {}", notice.alert.key.detector))
            }
            _ => None,
        })
        .collect()
}

/// One step: when, what is raised, and what that makes known.
type Step<'a> = (i64, &'a [&'a str], &'a [&'a str]);

fn check(rules: &Rules, silences: &[Silence], steps: &[Step<'_>]) {
    let mut alerts = Alerts::default();
    for (second, raised, expected) in steps {
        let seen = observation(raised, &["pi1/p", "pi1", "pi2/p", "@team"]);
        let told = alerts.advance(&seen, silences, rules, at(*second));
        assert_eq!(words(&told), *expected, "at {second}");
        let again = alerts.advance(&seen, silences, rules, at(*second));
        assert_eq!(words(&again), [""; 0], "the same twice at {second}");
    }
}

#[test]
fn an_alert_is_sent_once_repeated_every_four_hours_and_resolved_once() {
    let hung: &[&str] = &["pi1/p hung"];
    check(
        &Rules::default(),
        &[],
        &[
            (0, hung, &["fired hung", "send fired hung"]),
            (60, hung, &[]),
            (4 * 3600 - 1, hung, &[]),
            (4 * 3600, hung, &["send repeated hung"]),
            (4 * 3600 + 60, hung, &[]),
            (8 * 3600, hung, &["send repeated hung"]),
            (8 * 3600 + 1, &[], &["resolved hung", "send resolved hung"]),
            (8 * 3600 + 2, &[], &[]),
        ],
    );
}

#[test]
fn what_does_not_hold_long_enough_was_never_there() {
    let rules = Rules { for_s: 30, ..Rules::default() };
    let mut alerts = Alerts::default();
    let mut seen = observation(&["pi1/p hung"], &["pi1/p"]);
    seen.raised.values_mut().for_each(|seen| seen.for_s = 30);
    assert_eq!(words(&alerts.advance(&seen, &[], &rules, at(0))), [""; 0]);
    assert_eq!(alerts.open().next().unwrap().phase, Phase::Pending);
    assert_eq!(words(&alerts.advance(&observation(&[], &["pi1/p"]), &[], &rules, at(29))), [""; 0]);
    assert_eq!(alerts.open().count(), 0);
    alerts.advance(&seen, &[], &rules, at(40));
    assert_eq!(words(&alerts.advance(&seen, &[], &rules, at(70))), ["fired hung", "send fired hung"]);
}

#[test]
fn a_flapping_alert_is_held_until_it_was_quiet_for_five_minutes() {
    let hung: &[&str] = &["pi1/p hung"];
    let (begin, end): (&[&str], &[&str]) =
        (&["fired hung", "send fired hung"], &["resolved hung", "send resolved hung"]);
    check(
        &Rules::default(),
        &[],
        &[
            (0, hung, begin),
            (10, &[], end),
            (20, hung, begin),
            (30, &[], end),
            (40, hung, begin),
            // The third time within ten minutes: from here on its end is held down.
            (50, &[], &[]),
            (60, hung, &[]),
            (70, &[], &[]),
            (369, &[], &[]),
            (370, &[], end),
            // Ten minutes later it is an alert like any other.
            (1000, hung, begin),
            (1010, &[], end),
        ],
    );
}

#[test]
fn an_unreachable_host_explains_its_other_alerts() {
    let both: &[&str] = &["pi1 host_unreachable!", "pi1/p hung"];
    check(
        &Rules::default(),
        &[],
        &[
            (0, &["pi2/p hung"], &["fired hung", "send fired hung"]),
            (
                1,
                &["pi1 host_unreachable!", "pi2/p hung"],
                &["fired host_unreachable", "send fired host_unreachable"],
            ),
            (2, &["pi1 host_unreachable!", "pi1/p hung", "pi2/p hung"], &["fired hung"]),
            // Only what was never sent stays unsent; the other host's end is sent.
            (3, both, &["resolved hung", "send resolved hung"]),
            (
                4,
                &["pi1/p hung"],
                &["resolved host_unreachable", "send resolved host_unreachable", "send fired hung"],
            ),
            (5, &[], &["resolved hung", "send resolved hung"]),
        ],
    );
}

#[test]
fn one_account_is_one_incident() {
    check(
        &Rules::default(),
        &[],
        &[
            (0, &["pi1/p oauth_fail!"], &["fired oauth_fail", "send fired oauth_fail"]),
            (
                1,
                &["pi1/p oauth_fail!", "pi2/p oauth_fail!", "@team account_auth!"],
                &["fired oauth_fail", "fired account_auth", "send fired account_auth"],
            ),
            (
                2,
                &[],
                &[
                    "resolved oauth_fail",
                    "send resolved oauth_fail",
                    "resolved oauth_fail",
                    "resolved account_auth",
                    "send resolved account_auth",
                ],
            ),
        ],
    );
}

#[test]
fn a_silence_mutes_until_its_end_and_what_was_sent_is_resolved_all_the_same() {
    let silence = |from, until| Silence {
        id: 7,
        matchers: vec!["host=pi*".parse().unwrap(), "detector=hung".parse().unwrap()],
        comment: String::new(),
        by: "me".into(),
        from: at(from),
        until: at(until),
    };
    let hung: &[&str] = &["pi1/p hung"];
    check(
        &Rules::default(),
        &[silence(0, 100)],
        &[(0, hung, &["fired hung"]), (99, hung, &[]), (100, hung, &["send fired hung"])],
    );
    check(
        &Rules::default(),
        &[silence(50, 100)],
        &[(0, hung, &["fired hung", "send fired hung"]), (60, &[], &["resolved hung", "send resolved hung"])],
    );
    check(
        &Rules::default(),
        &[silence(0, 100)],
        &[(0, hung, &["fired hung"]), (60, &[], &["resolved hung"])],
    );
}

#[test]
fn an_acknowledged_alert_is_not_repeated_until_it_gets_worse() {
    let mut alerts = Alerts::default();
    let rules = Rules::default();
    let known: &[&str] = &["pi1/p"];
    let seen = observation(&["pi1/p hung"], known);
    alerts.advance(&seen, &[], &rules, at(0));
    let key = alerts.open().next().unwrap().key.clone();
    let ack = Ack { by: "me".into(), at: at(5) };
    assert!(alerts.acknowledge(&key, Some(ack.clone())).is_some());
    assert!(alerts.acknowledge(&key, Some(ack)).is_none(), "the same again changes nothing");
    assert_eq!(alerts.get(&key).unwrap().status(), "acknowledged");
    assert_eq!(words(&alerts.advance(&seen, &[], &rules, at(50_000))), [""; 0]);
    let worse = observation(&["pi1/p hung!"], known);
    assert_eq!(words(&alerts.advance(&worse, &[], &rules, at(50_001))), ["send repeated hung"]);
    let over = alerts.advance(&observation(&[], known), &[], &rules, at(50_002));
    assert_eq!(words(&over), ["resolved hung", "send resolved hung"]);
}

#[test]
fn what_is_not_known_stays_as_an_earlier_run_left_it() {
    let mut before = Alerts::default();
    let rules = Rules::default();
    before.advance(&observation(&["pi1/p hung"], &["pi1/p"]), &[], &rules, at(0));
    let doc = serde_json::to_string(before.open().next().unwrap()).unwrap();
    let mut alerts = Alerts::restored([serde_json::from_str(&doc).unwrap()]);
    assert_eq!(words(&alerts.advance(&Observation::default(), &[], &rules, at(60))), [""; 0]);
    let still = observation(&["pi1/p hung"], &["pi1/p"]);
    assert_eq!(words(&alerts.advance(&still, &[], &rules, at(61))), [""; 0], "it was sent before");
    let over = alerts.advance(&observation(&[], &["pi1/p"]), &[], &rules, at(62));
    assert_eq!(words(&over), ["resolved hung", "send resolved hung"]);
}

#[test]
fn a_clock_that_goes_back_neither_repeats_nor_loses_anything() {
    let hung: &[&str] = &["pi1/p hung"];
    check(
        &Rules::default(),
        &[],
        &[
            (10_000, hung, &["fired hung", "send fired hung"]),
            (-10_000, hung, &[]),
            (-9_000, &[], &["resolved hung", "send resolved hung"]),
        ],
    );
}
