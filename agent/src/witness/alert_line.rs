//! One alert as a line of `monitor`; the form is contract.

use jiff::Timestamp;
use serde_json::{Map, json};

use super::alert::{Alert, AutoAction, Severity};
use crate::output::Format;
use crate::store::{json, time};

/// Returns the line, with its newline.
pub(crate) fn text(format: Format, alert: &Alert) -> String {
    match format {
        Format::Json => {
            let line = json::line(alert).unwrap_or_default();
            format!("{}\n", String::from_utf8_lossy(&line))
        }
        Format::Pretty => {
            let mark = match alert.severity {
                Severity::Info => "[OK]",
                Severity::Warning => "[WARN]",
                Severity::Critical => "[CRIT]",
            };
            format!("{mark} {} — {}\n", alert.detector, alert.message)
        }
    }
}

/// Returns the alert that tells the end of another.
pub(crate) fn resolved(detector: &str, identity: &str, firing_for_s: i64) -> Alert {
    let mut context = Map::new();
    context.insert("resolved".into(), json!(true));
    context.insert("identity".into(), json!(identity));
    context.insert("firing_for_s".into(), json!(firing_for_s));
    Alert {
        severity: Severity::Info,
        detector: detector.to_owned(),
        message: format!("resolved after {firing_for_s}s"),
        context,
        ts: time::stamp(Timestamp::now()),
        auto_action: AutoAction::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain::{To, shown};

    #[test]
    fn what_an_agent_makes_an_alert_say_does_not_control_a_terminal() {
        let alert = Alert {
            severity: Severity::Warning,
            detector: "hung".into(),
            message: "\u{1b}]0;owned\u{7}\u{1b}[2Jround 7\u{9b}1A".into(),
            context: Map::new(),
            ts: "2026-03-01T00:00:00.000Z".into(),
            auto_action: AutoAction::None,
        };
        for format in [Format::Pretty, Format::Json] {
            let line = text(format, &alert);
            let shown = shown(&line, To::Terminal);
            assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
            assert_eq!(shown.matches('\n').count(), 1);
        }
    }

    #[test]
    fn pretty_and_json_lines_have_the_contracts_form() {
        let alert = Alert {
            severity: Severity::Warning,
            detector: "hung".into(),
            message: "round 7".into(),
            context: Map::from_iter([("round_num".to_owned(), json!(7))]),
            ts: "2026-03-01T00:00:00.000Z".into(),
            auto_action: AutoAction::None,
        };
        assert_eq!(text(Format::Pretty, &alert), "[WARN] hung — round 7\n");
        assert_eq!(
            text(Format::Json, &alert),
            "{\"severity\": \"warning\", \"detector\": \"hung\", \"message\": \"round 7\", \"context\": {\"round_num\": 7}, \"ts\": \"2026-03-01T00:00:00.000Z\", \"auto_action\": \"none\"}\n"
        );
        let resolved = resolved("hung", "hung:7", 60);
        assert_eq!(text(Format::Pretty, &resolved), "[OK] hung — resolved after 60s\n");
    }
}
