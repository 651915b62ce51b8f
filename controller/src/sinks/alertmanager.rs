//! Alertmanager's API, version 2. Pure.
//!
//! It identifies an alert by its labels, so they hold nothing that differs between two controllers that watch one
//! fleet: their messages become one notification. It forgets what is not repeated, so what still fires is sent again
//! before its end comes.

use agent_runner::store::time;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// How long an alert counts as firing without being sent again, in seconds.
const LASTS_S: i64 = 300;

/// Returns the URL alerts are posted to.
pub(super) fn url(base: &str) -> String {
    format!("{}/api/v2/alerts", base.trim_end_matches('/'))
}

/// Returns the body for messages of ours at `now`.
pub(super) fn body(messages: &[Value], now: Timestamp) -> Value {
    messages.iter().map(|message| alert(message, now)).collect()
}

fn alert(message: &Value, now: Timestamp) -> Value {
    let text = |key: &str| message.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut labels = Map::new();
    for (label, key) in [
        ("alertname", "detector"),
        ("fleet", "fleet"),
        ("host", "host"),
        ("project", "project"),
        ("account", "account"),
        ("severity", "severity"),
    ] {
        if let Some(value) = text(key) {
            labels.insert(label.to_owned(), Value::from(value));
        }
    }
    let lasts = now.checked_add(SignedDuration::from_secs(LASTS_S)).unwrap_or(now);
    let ends = text("resolved_at").map_or_else(|| time::stamp(lasts), str::to_owned);
    json!({
        "labels": labels,
        "annotations": {"summary": text("message").unwrap_or_default()},
        "startsAt": text("fired_at").map_or_else(|| time::stamp(now), str::to_owned),
        "endsAt": ends,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_carries_its_identity_as_labels_and_an_end() {
        let message = json!({"detector": "oauth_fail", "fleet": "attic", "host": "pi1", "project": null,
            "severity": "critical", "message": "3/10", "fired_at": "2026-03-01T00:00:00.000Z", "resolved_at": null});
        let now: Timestamp = "2026-03-01T01:00:00Z".parse().unwrap();
        let body = body(&[message], now);
        assert_eq!(
            body[0]["labels"],
            json!({"alertname": "oauth_fail", "fleet": "attic", "host": "pi1", "severity": "critical"})
        );
        assert_eq!(body[0]["startsAt"], "2026-03-01T00:00:00.000Z");
        assert_eq!(body[0]["endsAt"], "2026-03-01T01:05:00.000Z");
        assert_eq!(url("http://am:9093/"), "http://am:9093/api/v2/alerts");
    }
}
