//! Alerts as lines and as JSON. Pure.

use agent_runner::store::time;
use agent_runner::witness::alert::Severity;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::fleetview::alert::{AlertState, Muted, Phase};
use crate::fleetview::silence::Silence;
use crate::span;

/// Returns an alert as one object: labels at the top, then its life. `id` names it on command lines and in links.
pub fn json(alert: &AlertState, fleet: &str, now: Timestamp) -> Value {
    let subject = &alert.key.subject;
    json!({
        "schema": 1,
        "id": alert.key.id(),
        "fleet": fleet,
        "host": subject.host(),
        "project": subject.project(),
        "account": alert.account,
        "detector": alert.key.detector,
        "severity": alert.severity,
        "status": alert.status(),
        "message": alert.message,
        "context": alert.context,
        "since": time::stamp(alert.since),
        "fired_at": alert.fired_at.map(time::stamp),
        "resolved_at": alert.resolved_at.map(time::stamp),
        "firing_for_s": alert.firing_for_s(now),
        "acknowledged_by": alert.acked.as_ref().map(|ack| &ack.by),
        "silence": match &alert.muted { Some(Muted::Silenced(id)) => Some(id), Some(Muted::Inhibited(_)) | None => None },
        "inhibited_by": match &alert.muted { Some(Muted::Inhibited(by)) => Some(by), Some(Muted::Silenced(_)) | None => None },
    })
}

/// Returns a row of `alerts`: mark, id, age, subject, detector, wording, and what else is to be known of it.
pub fn text(alert: &AlertState, now: Timestamp) -> String {
    let mark = match alert.phase {
        Phase::Pending => "[....]",
        Phase::Resolved => "[OK]  ",
        Phase::Firing => mark(alert.severity),
    };
    let status = match (&alert.muted, &alert.acked) {
        (Some(Muted::Silenced(id)), _) => format!("  (silence {id})"),
        (Some(Muted::Inhibited(by)), _) => format!("  (explained by {by})"),
        (None, Some(ack)) => format!("  (taken note of by {})", ack.by),
        (None, None) => String::new(),
    };
    let when = match alert.resolved_at {
        Some(_) => format!("lasted {}", span::words(alert.firing_for_s(now))),
        None => format!("for {}", span::words(alert.firing_for_s(now))),
    };
    format!(
        "{mark} {} {:<12} {} {} \u{2014} {}{status}",
        alert.key.id(),
        when,
        alert.key.subject,
        alert.key.detector,
        alert.message
    )
}

/// Returns a row of `silence --list`.
pub fn silence_text(silence: &Silence, now: Timestamp) -> String {
    let matchers: Vec<String> = silence.matchers.iter().map(ToString::to_string).collect();
    let left = silence.until.as_second() - now.as_second();
    let comment = if silence.comment.is_empty() { String::new() } else { format!("  {}", silence.comment) };
    format!(
        "{:>4}  {}  another {}  by {}{comment}",
        silence.id,
        matchers.join(" "),
        span::words(left.max(0)),
        silence.by
    )
}

/// Returns a silence as one object.
pub fn silence_json(silence: &Silence) -> Value {
    json!({
        "schema": 1,
        "id": silence.id,
        "matchers": silence.matchers,
        "comment": silence.comment,
        "by": silence.by,
        "from": time::stamp(silence.from),
        "until": time::stamp(silence.until),
    })
}

/// Returns the mark in front of an alert's line.
pub fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "[INFO]",
        Severity::Warning => "[WARN]",
        Severity::Critical => "[CRIT]",
    }
}
