//! What hosts say, cut to what is worth keeping: nobody's words may fill the memory or the disk. Pure.

use agent_runner::witness::alert::{Alert, Blindness};
use serde_json::{Map, Value, json};

/// The most of one event or alert that is kept, in bytes of JSON.
const MOST: usize = 4096;
/// The most of one field of something that is longer, in characters.
const FIELD: usize = 512;
/// The most detectors of one project that are held not to judge.
const BLIND: usize = 32;
/// What `"cut":true` and the braces take, in bytes.
const FRAME: usize = 16;

/// Returns a body as text. Of one that is too long the fields are kept that fit, their texts cut, and `cut` says so.
pub(crate) fn body(body: &Value) -> String {
    let text = body.to_string();
    if text.len() <= MOST {
        return text;
    }
    Value::Object(fitting(body.as_object(), MOST)).to_string()
}

/// Returns what a host said in its own words, cut to a field's length.
pub(super) fn text(text: String) -> String {
    if text.chars().nth(FIELD).is_none() { text } else { text.chars().take(FIELD).collect() }
}

/// Returns an alert of a host with a message and a context of bounded size.
pub(super) fn alert(mut alert: Alert) -> Alert {
    if alert.message.chars().nth(FIELD).is_some() {
        alert.message = alert.message.chars().take(FIELD).collect();
    }
    if json!(alert.context).to_string().len() > MOST / 2 {
        alert.context = fitting(Some(&alert.context), MOST / 2);
    }
    alert
}

/// Returns what a host says of detectors that cannot judge, of bounded size; an agent has half as many detectors.
pub(super) fn blind(mut blind: Vec<Blindness>) -> Vec<Blindness> {
    blind.truncate(BLIND);
    for text in blind.iter_mut().flat_map(|one| [&mut one.detector, &mut one.error]) {
        if text.chars().nth(FIELD).is_some() {
            *text = text.chars().take(FIELD).collect();
        }
    }
    blind
}

fn fitting(fields: Option<&Map<String, Value>>, most: usize) -> Map<String, Value> {
    let mut kept = Map::new();
    let mut room = most.saturating_sub(FRAME);
    for (name, value) in fields.into_iter().flatten() {
        let value = match value {
            Value::String(text) => Value::String(text.chars().take(FIELD).collect()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                value.clone()
            }
        };
        // Two for the colon and the comma.
        let size = json!(name).to_string().len() + value.to_string().len() + 2;
        if let Some(left) = room.checked_sub(size) {
            room = left;
            kept.insert(name.clone(), value);
        }
    }
    kept.insert("cut".to_owned(), json!(true));
    kept
}

#[cfg(test)]
mod tests {
    use agent_runner::witness::alert::{AutoAction, Severity};

    use super::*;

    #[test]
    fn a_huge_event_keeps_what_fits_and_says_that_it_is_cut() {
        let small = json!({"event": "agent_exit", "round_num": 7});
        assert_eq!(body(&small), small.to_string());
        for huge in
            [json!("\u{1}".repeat(60_000)), json!(vec!["x"; 20_000]), json!({"y": "\\".repeat(60_000)})]
        {
            let cut =
                body(&json!({"ts": "2026-01-01T00:00:00Z", "event": "agent_exit", "huge": huge, "z": 1}));
            assert!(cut.len() <= MOST, "{}", cut.len());
            let read: Value = serde_json::from_str(&cut).unwrap();
            assert_eq!(
                (&read["event"], &read["cut"], &read["z"]),
                (&json!("agent_exit"), &json!(true), &json!(1))
            );
        }
        let wide: Map<String, Value> =
            (0..10_000).map(|number| (format!("\u{1}{number}"), json!(number))).collect();
        assert!(body(&Value::Object(wide)).len() <= MOST);
    }

    #[test]
    fn detectors_without_end_that_cannot_judge_are_cut() {
        let one = Blindness { detector: "d".repeat(6000), error: "\u{65e5}".repeat(6000) };
        let kept = blind(vec![one; 5000]);
        let size = |one: &Blindness| (one.detector.chars().count(), one.error.chars().count());
        assert_eq!((kept.len(), size(&kept[31])), (BLIND, (FIELD, FIELD)));
    }

    #[test]
    fn a_huge_alert_is_cut() {
        let huge = alert(Alert {
            severity: Severity::Critical,
            detector: "hung".into(),
            message: "\u{65e5}".repeat(20_000),
            context: Map::from_iter([
                ("round_num".to_owned(), json!(7)),
                ("x".to_owned(), json!("y".repeat(60_000))),
            ]),
            ts: String::new(),
            auto_action: AutoAction::None,
        });
        assert_eq!((huge.message.chars().count(), &huge.context["round_num"]), (FIELD, &json!(7)));
        assert!(json!(huge.context).to_string().len() <= MOST / 2);
    }
}
