//! What each stream said last, as lines: bounded, and from the history before the first word comes. Pure.

use std::collections::{BTreeMap, VecDeque};

use agent_runner::event::ended_well;
use agent_runner::plain::plain;
use agent_runner::store::time;
use jiff::Timestamp;
use serde_json::Value;

use crate::fleetview::alert::Subject;
use crate::fleetview::state::StreamId;
use crate::fleetview::told::{StoppedBy, Told};
use crate::history::query::LogLine;

/// Lines kept per stream: more than a screen has room for.
const LINES: usize = 60;
/// The most of one field of an event that is shown, in characters.
const FIELD: usize = 60;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub text: String,
    /// Whether a person may want to know.
    pub tone: Tone,
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// One of many.
    Plain,
    /// Something ended well.
    Good,
    /// Something is wrong.
    Bad,
}

/// The newest lines of every stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feed {
    streams: BTreeMap<StreamId, VecDeque<Said>>,
    /// Things that were told and missed, because too many came at once.
    pub missed: u64,
}

impl Feed {
    /// Returns a stream's lines, the oldest first.
    pub fn of(&self, stream: &StreamId) -> impl DoubleEndedIterator<Item = &Said> {
        self.streams.get(stream).into_iter().flatten()
    }

    /// Takes what became known at `now`.
    pub fn hear(&mut self, told: &Told, now: Timestamp) {
        let bad = |text: String| (now, text, Tone::Bad);
        let plainly = |text: &str| (now, text.to_owned(), Tone::Plain);
        let (stream, (at, text, tone)) = match told {
            Told::Event { stream, event, .. } => (stream, event_line(event, now)),
            Told::Fired { alert } => match &alert.key.subject {
                Subject::Stream(stream) => {
                    (stream, bad(format!("alert {}: {}", alert.key.detector, alert.message)))
                }
                Subject::Host(_) | Subject::Account(_) | Subject::Fleet => return,
            },
            Told::Resolved { alert } => match &alert.key.subject {
                Subject::Stream(stream) => {
                    (stream, (now, format!("alert {} is over", alert.key.detector), Tone::Good))
                }
                Subject::Host(_) | Subject::Account(_) | Subject::Fleet => return,
            },
            Told::LinkUp { stream } => (stream, plainly("connected")),
            Told::LinkDown { stream, reason } => (stream, bad(format!("connection lost: {reason}"))),
            Told::Rebooted { stream } => (stream, bad("the host was started anew".to_owned())),
            Told::StopWanted { stream, detector, .. } => (stream, bad(format!("stopping for {detector}"))),
            Told::Stopped { stream, detector, by } => (stream, bad(stopped(detector, *by))),
            Told::StopFailed { stream, detector, reason } => {
                (stream, bad(format!("could not be stopped for {detector}: {reason}")))
            }
            Told::BrakeEngaged { stream, detector } => {
                (stream, bad(format!("not stopped for {detector}: the brake holds")))
            }
            Told::Resumed { stream } => (stream, (now, "runs again".to_owned(), Tone::Good)),
            Told::Changed { .. } | Told::Notify(_) | Told::State { .. } => return,
        };
        self.add(stream.clone(), Said { at, text, tone });
    }

    /// Takes a line of the history; lines come the oldest first, before anything is heard.
    pub fn recall(&mut self, line: &LogLine) {
        if line.host.is_empty() || line.project.is_empty() {
            return;
        }
        let stream = StreamId { host: line.host.as_str().into(), project: line.project.as_str().into() };
        let of = |name: &str| line.body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (at, text, tone) = match line.kind.as_str() {
            "event" => event_line(&line.body, line.at),
            "alert" => (line.at, format!("alert {}: {}", line.name, of("message")), Tone::Bad),
            "resolved" => (line.at, format!("alert {} is over", line.name), Tone::Good),
            "link" if line.name == "link_up" => (line.at, "connected".to_owned(), Tone::Plain),
            "link" => (line.at, format!("connection lost: {}", of("reason")), Tone::Bad),
            "stop" => (line.at, format!("stopped for {}", line.name), Tone::Bad),
            "asked" if !of("error").is_empty() => {
                let text = format!("{} asked for by {} failed: {}", line.name, of("by"), of("error"));
                (line.at, text, Tone::Bad)
            }
            "asked" => (line.at, format!("{} asked for by {}", line.name, of("by")), Tone::Plain),
            "resume" => (line.at, "runs again".to_owned(), Tone::Good),
            kind => (line.at, format!("{kind} {}", line.name), Tone::Plain),
        };
        self.add(stream, Said { at, text, tone });
    }

    fn add(&mut self, stream: StreamId, mut said: Said) {
        said.text = plain(&said.text);
        let lines = self.streams.entry(stream).or_default();
        if lines.len() >= LINES {
            lines.pop_front();
        }
        lines.push_back(said);
    }
}

fn stopped(detector: &str, by: StoppedBy) -> String {
    match by {
        StoppedBy::Controller => format!("stopped for {detector}"),
        StoppedBy::Host => format!("stopped itself for {detector}"),
    }
}

fn event_line(event: &Value, now: Timestamp) -> (Timestamp, String, Tone) {
    let text = |key| event.get(key).and_then(Value::as_str);
    let at = text("ts").and_then(time::parse).unwrap_or(now);
    let kind = text("event").unwrap_or("event");
    if kind == "agent_exit" {
        let number = event.get("round_num").and_then(Value::as_i64).unwrap_or_default();
        let seconds = event.get("duration_s").and_then(Value::as_f64).unwrap_or_default();
        let cause = text("exit_cause").unwrap_or("error");
        let (how, tone) = match (cause, event.get("exit_code").and_then(Value::as_i64)) {
            ("clean", _) => ("ok".to_owned(), Tone::Good),
            ("error", Some(code)) => (format!("exit {code}"), Tone::Bad),
            (cause, _) if ended_well(cause) => (cause.to_owned(), Tone::Good),
            (cause, _) => (cause.to_owned(), Tone::Bad),
        };
        return (at, format!("round {number} {how} ({seconds:.1} s)"), tone);
    }
    let number = event.get("round_num").and_then(Value::as_i64);
    match (kind, number) {
        ("round_start", Some(number)) => {
            let phase = text("phase").map(|phase| format!(" ({phase})")).unwrap_or_default();
            return (at, format!("round {number} starts{phase}"), Tone::Plain);
        }
        ("agent_usage_recorded", Some(number)) => {
            let cost = event.get("cost_usd").and_then(Value::as_f64).unwrap_or_default();
            return (at, format!("round {number} cost {cost:.2} USD"), Tone::Plain);
        }
        _ => {}
    }
    let fields = event.as_object().into_iter().flatten().filter_map(|(key, value)| {
        let shown = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(is) => is.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        let left_out = matches!(key.as_str(), "ts" | "event" | "schema" | "project");
        (!left_out).then(|| format!("{key}={}", shown.chars().take(FIELD).collect::<String>()))
    });
    let words: Vec<String> = std::iter::once(kind.to_owned()).chain(fields).collect();
    (at, words.join(" "), Tone::Plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_runner::store::follow::Cursor;
    use serde_json::json;

    #[test]
    fn events_become_lines_and_old_lines_go() {
        let stream = StreamId { host: "pi1".into(), project: "p".into() };
        let mut feed = Feed::default();
        let now = Timestamp::from_second(1000).unwrap();
        for number in 0..200_u64 {
            let cursor = Cursor::at("e", number);
            let event = json!({"ts": "1970-01-01T00:00:05.000Z", "event": "agent_exit", "round_num": number,
                "duration_s": 2.0, "exit_cause": "error", "exit_code": 3});
            feed.hear(&Told::Event { stream: stream.clone(), cursor, event }, now);
        }
        feed.hear(&Told::LinkDown { stream: stream.clone(), reason: "\u{1b}[2Jgone\r".into() }, now);
        let lines: Vec<&Said> = feed.of(&stream).collect();
        assert_eq!(lines.len(), LINES);
        let [.., exit, lost] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(
            (exit.text.as_str(), exit.at.as_second(), exit.tone),
            ("round 199 exit 3 (2.0 s)", 5, Tone::Bad)
        );
        assert_eq!((lost.text.as_str(), lost.at), ("connection lost: gone ", now));
    }

    #[test]
    fn a_round_that_was_ended_after_its_result_is_no_failure() {
        for (cause, tone) in [("clean", Tone::Good), ("grace_kill", Tone::Good), ("timeout", Tone::Bad)] {
            let exit = json!({"event": "agent_exit", "exit_code": -9, "exit_cause": cause});
            assert_eq!(event_line(&exit, Timestamp::UNIX_EPOCH).2, tone, "{cause}");
        }
    }

    #[test]
    fn the_history_comes_back_as_the_same_lines() {
        let mut feed = Feed::default();
        let line = |kind: &str, name: &str, body: Value| LogLine {
            at: Timestamp::from_second(7).unwrap(),
            host: "pi1".into(),
            project: "p".into(),
            kind: kind.into(),
            name: name.into(),
            body,
        };
        feed.recall(&line("event", "phase", json!({"event": "phase", "name": "work", "n": 2, "x": null})));
        feed.recall(&line("stop", "oauth_fail", json!({"by": "host"})));
        feed.recall(&LogLine { host: String::new(), ..line("alert", "fleet_stalled", json!({})) });
        let stream = StreamId { host: "pi1".into(), project: "p".into() };
        let texts: Vec<&str> = feed.of(&stream).map(|said| said.text.as_str()).collect();
        assert_eq!(texts, ["phase n=2 name=work", "stopped for oauth_fail"]);
    }
}
