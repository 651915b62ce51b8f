//! The fleet view as text and as JSON lines. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::alert_lines::{self, mark};
use crate::fleetview::alert::{AlertState, Phase};
use crate::fleetview::coverage::Coverage;
use crate::fleetview::state::{Fleet, Link, StreamId, StreamState};
use crate::fleetview::told::{StoppedBy, Told};

/// The version of the JSON lines' form.
pub const SCHEMA: u32 = 1;

/// How much of the events becomes lines for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Alerts, links and stops.
    Alerts,
    /// Also how each round ended.
    Rounds,
    /// Every event.
    Everything,
}

/// Returns a line for people, without its newline; `None` for what `detail` leaves out.
pub fn text(told: &Told, detail: Detail) -> Option<String> {
    Some(match told {
        Told::Event { stream, event, .. } => return event_text(stream, event, detail),
        // What a silence or another alert covers is in `alerts`, not in everybody's face.
        Told::Fired { alert } => {
            let (key, message) = (&alert.key, &alert.message);
            format!("{} {} {} \u{2014} {message}", mark(alert.severity), key.subject, key.detector)
        }
        Told::Resolved { alert } => {
            let seconds = alert.firing_for_s(alert.resolved_at.unwrap_or(alert.since));
            format!("[OK]   {} {} \u{2014} over after {seconds} s", alert.key.subject, alert.key.detector)
        }
        Told::Changed { .. } | Told::Notify(_) => return None,
        Told::Rebooted { stream } => format!("[LINK] {stream} was started anew"),
        Told::Resumed { stream } => format!("[STOP] {stream} runs again"),
        Told::State { .. } => return None,
        Told::LinkUp { stream } => format!("[LINK] {stream} connected"),
        Told::LinkDown { stream, reason } => format!("[LINK] {stream} lost: {reason}"),
        Told::StopWanted { stream, detector, .. } => format!("[STOP] {stream} stopping for {detector}"),
        Told::Stopped { stream, detector, by: StoppedBy::Controller } => {
            format!("[STOP] {stream} stopped for {detector}")
        }
        Told::Stopped { stream, detector, by: StoppedBy::Host } => {
            format!("[STOP] {stream} stopped itself for {detector}")
        }
        Told::StopFailed { stream, detector, reason } => {
            format!("[STOP] {stream} could not be stopped for {detector}, trying again: {reason}")
        }
        Told::BrakeEngaged { stream, detector } => format!(
            "[STOP] {stream} not stopped for {detector}: the brake holds, too many stops within ten minutes; stop it with: agent-runner-fleet stop {}",
            stream.host
        ),
    })
}

/// Returns one JSON line's object.
pub fn json(told: &Told, fleet: &str, at: Timestamp) -> Value {
    let of = |stream: &StreamId| (Some(stream.host.clone()), Some(stream.project.clone()));
    let about = |alert: &AlertState| {
        let subject = &alert.key.subject;
        (subject.host().cloned(), subject.project().cloned())
    };
    let ((host, project), kind, rest) = match told {
        Told::Event { stream, cursor, event } => {
            (of(stream), "event", json!({"cursor": cursor, "event": event}))
        }
        Told::Fired { alert } => {
            (about(alert), "alert", json!({"alert": alert_lines::json(alert, fleet, at)}))
        }
        Told::Changed { alert } => {
            (about(alert), "alert_changed", json!({"alert": alert_lines::json(alert, fleet, at)}))
        }
        Told::Resolved { alert } => (
            about(alert),
            "resolved",
            json!({"detector": alert.key.detector, "firing_for_s": alert.firing_for_s(at), "alert": alert_lines::json(alert, fleet, at)}),
        ),
        Told::Notify(notice) => (
            about(&notice.alert),
            "notice",
            json!({"notice": notice.kind, "id": notice.alert.key.id(), "detector": notice.alert.key.detector}),
        ),
        Told::State { stream, state } => (of(stream), "state", json!({"state": state})),
        Told::LinkUp { stream } => (of(stream), "link_up", json!({})),
        Told::LinkDown { stream, reason } => (of(stream), "link_down", json!({"reason": reason})),
        Told::Rebooted { stream } => (of(stream), "reboot", json!({})),
        Told::StopWanted { stream, identity, detector } => {
            (of(stream), "stop_wanted", json!({"identity": identity, "detector": detector}))
        }
        Told::Stopped { stream, detector, by } => {
            (of(stream), "stopped", json!({"detector": detector, "by": by}))
        }
        Told::StopFailed { stream, detector, reason } => {
            (of(stream), "stop_failed", json!({"detector": detector, "reason": reason}))
        }
        Told::BrakeEngaged { stream, detector } => {
            (of(stream), "brake_engaged", json!({"detector": detector}))
        }
        Told::Resumed { stream } => (of(stream), "resumed", json!({})),
    };
    let mut line = json!({
        "schema": SCHEMA,
        "at": agent_runner::store::time::stamp(at),
        "type": kind,
        "host": host,
        "project": project,
    });
    if let (Some(line), Value::Object(rest)) = (line.as_object_mut(), rest) {
        line.extend(rest);
    }
    line
}

/// Returns what a watch says for people that sees a part of the fleet only; nothing where it sees all of it.
pub fn coverage_text(coverage: &Coverage) -> Option<String> {
    let Coverage { streams, hosts, accounts } = coverage;
    let divided: Vec<&str> = accounts.iter().map(|account| &**account).collect();
    let divided = if divided.is_empty() {
        String::new()
    } else {
        format!("; other hosts or projects of account {} are not seen", divided.join(", "))
    };
    (!coverage.is_whole()).then(|| {
        format!(
            "this watch sees {} of {} projects, on {} of {} hosts: what it tells of accounts and of the fleet is judged by these only{divided}",
            streams.0, streams.1, hosts.0, hosts.1
        )
    })
}

/// Returns the same as a JSON line's object.
pub fn coverage_json(coverage: &Coverage, at: Timestamp) -> Option<Value> {
    let Coverage { streams, hosts, accounts } = coverage;
    (!coverage.is_whole()).then(|| {
        json!({
            "schema": SCHEMA,
            "at": agent_runner::store::time::stamp(at),
            "type": "partial",
            "host": null,
            "project": null,
            "streams": {"watched": streams.0, "all": streams.1},
            "hosts": {"watched": hosts.0, "all": hosts.1},
            "accounts": accounts,
        })
    })
}

/// Returns the fleet as a table, a row per stream, for a terminal without colour.
pub fn table(fleet: &Fleet) -> Vec<String> {
    let mut rows = vec![["HOST", "PROJECT", "SERVICE", "ROUND", "LAST", "DISK", "ALERTS"].map(str::to_owned)];
    rows.extend(fleet.streams.iter().map(|(stream, state)| row(fleet, stream, state)));
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    rows.iter()
        .map(|row| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                let _ = write!(line, "{cell:width$}  ");
            }
            line.trim_end().to_owned()
        })
        .collect()
}

/// Returns when an event happened, as a person on this machine reads a clock.
pub fn clock(event: &Value, zone: &TimeZone) -> String {
    let at = event.get("ts").and_then(Value::as_str).and_then(agent_runner::store::time::parse);
    at.map_or_else(|| "--:--:--".to_owned(), |at| at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string())
}

fn row(fleet: &Fleet, stream: &StreamId, state: &StreamState) -> [String; 7] {
    let said = state.state.as_ref();
    let service = match (&state.link, said) {
        (Link::Down { .. }, _) => "? (no link)",
        (Link::Connecting, None) => "connecting",
        (_, Some(_)) if state.silent.is_some() => "? (silent)",
        (_, Some(said)) if said.active => "active",
        (_, Some(_)) if state.stopped.is_some() => "auto-stopped",
        (_, Some(_)) => "stopped",
        (Link::Up, None) => "?",
    };
    let dash = || "-".to_owned();
    let round = said.and_then(|said| {
        let running = if said.running { " \u{25b6}" } else { "" };
        said.round_num.map(|number| format!("{number}{running}"))
    });
    let last = said.and_then(|said| {
        let how =
            if state.last_ended_well()? { "ok".to_owned() } else { format!("exit {}", said.last_exit_code?) };
        Some(said.last_duration_s.map_or(how.clone(), |seconds| format!("{how} {seconds:.1} s")))
    });
    let disk = said.and_then(|said| said.disk_used_pct).map(|used| format!("{used:.0} %"));
    let open = fleet.alerts.on(&stream.host, &stream.project);
    let mut alerts: Vec<&str> =
        open.filter(|alert| alert.phase == Phase::Firing).map(|alert| &*alert.key.detector).collect();
    alerts.sort_unstable();
    alerts.dedup();
    let alerts = if alerts.is_empty() { dash() } else { alerts.join(" ") };
    [
        stream.host.to_string(),
        stream.project.to_string(),
        service.to_owned(),
        round.unwrap_or_else(dash),
        last.unwrap_or_else(dash),
        disk.unwrap_or_else(dash),
        alerts,
    ]
}

fn event_text(stream: &StreamId, event: &Value, detail: Detail) -> Option<String> {
    let kind = event.get("event").and_then(Value::as_str)?;
    match (detail, kind) {
        (Detail::Alerts, _) => None,
        (Detail::Rounds | Detail::Everything, "agent_exit") => Some(round_text(stream, event)),
        (Detail::Rounds, _) => None,
        (Detail::Everything, _) => {
            let fields: Vec<String> = event
                .as_object()?
                .iter()
                .filter(|(key, _)| !matches!(key.as_str(), "ts" | "event"))
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            Some(format!("       {stream} {kind} {}", fields.join(" ")))
        }
    }
}

fn round_text(stream: &StreamId, event: &Value) -> String {
    let number = event.get("round_num").and_then(Value::as_i64).unwrap_or_default();
    let seconds = event.get("duration_s").and_then(Value::as_f64).unwrap_or_default();
    let how = match event.get("exit_cause").and_then(Value::as_str) {
        Some("clean") => "ok".to_owned(),
        Some("error") | None => {
            format!("exit {}", event.get("exit_code").and_then(Value::as_i64).unwrap_or_default())
        }
        Some(cause) => cause.to_owned(),
    };
    format!("       {stream} round {number} {how} ({seconds:.1} s)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_of_a_part_says_so_and_one_of_the_whole_does_not() {
        let part = Coverage { streams: (2, 5), hosts: (1, 4), accounts: ["a".into()].into() };
        let text = coverage_text(&part).unwrap();
        assert!(text.contains("2 of 5 projects, on 1 of 4 hosts"), "{text}");
        assert!(text.ends_with("of account a are not seen"), "{text}");
        let line = coverage_json(&part, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            (&line["type"], &line["hosts"]["all"], &line["accounts"]),
            (&json!("partial"), &json!(4), &json!(["a"]))
        );
        let whole = Coverage { streams: (5, 5), hosts: (4, 4), accounts: Default::default() };
        assert_eq!((coverage_text(&whole), coverage_json(&whole, Timestamp::UNIX_EPOCH)), (None, None));
    }
}
