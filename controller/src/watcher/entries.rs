//! From what was told to what is written down. Pure.

use agent_runner::store::time;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::fleetview::alert::AlertState;
use crate::fleetview::bounded;
use crate::fleetview::life::Alerts;
use crate::fleetview::state::{AutoStopped, StreamId};
use crate::fleetview::told::{Notice, NoticeKind, Told};
use crate::history::Entry;
use crate::output::alert_lines;

/// Returns the entries of one thing that became known; `sinks` are the names messages are for.
pub fn entries(told: &Told, fleet: &str, sinks: &[String], now: Timestamp) -> Vec<Entry> {
    let line = |stream: &StreamId, kind, name: &str, body: Value| Entry::Log {
        at: now,
        host: stream.host.to_string(),
        project: stream.project.to_string(),
        kind,
        name: name.to_owned(),
        body: bounded::body(&body),
    };
    match told {
        Told::Event { stream, cursor, event } => {
            let text = |key| event.get(key).and_then(Value::as_str).unwrap_or_default();
            // The event's own time, so that a replay of the night stands in the night; never the future.
            let at = time::parse(text("ts")).map_or(now, |at| at.min(now));
            let log = Entry::Log {
                at,
                host: stream.host.to_string(),
                project: stream.project.to_string(),
                kind: "event",
                name: text("event").to_owned(),
                body: bounded::body(event),
            };
            vec![log, Entry::Cursor(stream.clone(), cursor.clone())]
        }
        Told::Fired { alert } => vec![about(alert, ("alert", fleet), now), stored(alert)],
        Told::Resolved { alert } => vec![about(alert, ("resolved", fleet), now), stored(alert)],
        Told::Changed { alert } => vec![stored(alert)],
        Told::Notify(notice) => {
            let mut all = vec![stored(&notice.alert)];
            all.extend(sinks.iter().map(|sink| Entry::Message {
                sink: sink.clone(),
                at: notice.at,
                body: message(notice, fleet).to_string(),
            }));
            all
        }
        Told::State { .. } | Told::StopWanted { .. } => Vec::new(),
        Told::LinkUp { stream } => vec![line(stream, "link", "link_up", json!({}))],
        Told::LinkDown { stream, reason } => {
            vec![line(stream, "link", "link_down", json!({"reason": reason}))]
        }
        Told::Rebooted { stream } => vec![line(stream, "reboot", "reboot", json!({}))],
        Told::Stopped { stream, detector, by } => vec![
            line(stream, "stop", detector, json!({"by": by.as_str()})),
            Entry::Stopped(stream.clone(), AutoStopped { detector: detector.clone(), at: now, by: *by }),
        ],
        Told::StopFailed { stream, detector, reason } => {
            vec![line(stream, "stop_failed", detector, json!({"reason": reason}))]
        }
        Told::BrakeEngaged { stream, detector } => vec![line(stream, "brake", detector, json!({}))],
        Told::Resumed { stream } => {
            vec![line(stream, "resume", "resume", json!({})), Entry::Resumed(stream.clone())]
        }
    }
}

/// Returns the message a sink gets: self-contained, so that it can wait on disk.
fn message(notice: &Notice, fleet: &str) -> Value {
    let mut body = alert_lines::json(&notice.alert, fleet, notice.at);
    if let Some(body) = body.as_object_mut() {
        body.insert("notice".to_owned(), json!(notice.kind));
        body.insert("at".to_owned(), json!(time::stamp(notice.at)));
    }
    body
}

fn about(alert: &AlertState, (kind, fleet): (&'static str, &str), now: Timestamp) -> Entry {
    let subject = &alert.key.subject;
    Entry::Log {
        at: now,
        host: subject.host().map_or_else(String::new, ToString::to_string),
        project: subject.project().map_or_else(String::new, ToString::to_string),
        kind,
        name: alert.key.detector.to_string(),
        body: bounded::body(&alert_lines::json(alert, fleet, now)),
    }
}

fn stored(alert: &AlertState) -> Entry {
    Entry::Alert(Box::new(alert.clone()))
}

/// Returns whether something has to be on disk soon: whoever waits for it waits for the sinks.
pub fn is_urgent(told: &Told) -> bool {
    matches!(told, Told::Notify(_) | Told::Fired { .. } | Told::Resolved { .. } | Told::Stopped { .. })
}

/// Returns the alerts of whose messages a sink that must be reminded (Alertmanager) has to be: sent and still firing.
pub fn reminders(alerts: &Alerts, fleet: &str, now: Timestamp) -> Vec<Value> {
    let held = alerts.open().filter(|alert| alert.sent > 0 && alert.muted.is_none());
    held.map(|alert| {
        let kind = NoticeKind::Repeated;
        message(&Notice { kind, alert: std::sync::Arc::new(alert.clone()), at: now }, fleet)
    })
    .collect()
}
