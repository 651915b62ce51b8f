//! What a line of the other host says here: pure. Keeps the place reached, and knows which alerts fire.

use jiff::Timestamp;

use super::command::{Place, Relayed};
use crate::store::record::Record;
use crate::store::time;
use crate::witness::alert::{Alert, Blindness};
use crate::witness::narrate;
use crate::witness::stream::StreamLine;

/// Alerts remembered; the oldest is given up for a new one.
const FIRING_MAX: usize = 512;

/// Something to print.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// This line.
    Line(Vec<u8>),
    /// What a detector cannot judge.
    Blind(Blindness),
    /// An alert that begins.
    Begun(Alert),
    /// An alert that is over.
    Resolved {
        /// The detector.
        detector: String,
        /// What distinguished it.
        identity: String,
        /// Seconds it fired.
        firing_for_s: i64,
    },
}

/// A relay's memory, kept over its connections.
#[derive(Debug)]
pub struct Translator {
    relayed: Relayed,
    place: Place,
    firing: Vec<Firing>,
    blind: Vec<Blindness>,
    page: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Firing {
    identity: String,
    alert: Alert,
    /// Whether this connection has told of it.
    is_told: bool,
}

impl Translator {
    /// Returns one that has heard nothing.
    pub fn new(relayed: Relayed) -> Translator {
        Translator { relayed, place: Place::default(), firing: Vec::new(), blind: Vec::new(), page: None }
    }

    /// Returns what is relayed.
    pub fn relayed(&self) -> &Relayed {
        &self.relayed
    }

    /// Returns how far it came.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A new connection begins.
    pub fn connected(&mut self) {
        self.firing.iter_mut().for_each(|firing| firing.is_told = false);
    }

    /// Takes the next line.
    pub fn line(&mut self, line: &[u8], now: Timestamp) -> Vec<Said> {
        match &self.relayed {
            Relayed::Events(_) => {
                self.remember(line);
                vec![Said::Line(line.to_vec())]
            }
            Relayed::Narrate(_) => {
                let told = Record::parse(line).map(|record| narrate::line(&record));
                self.remember(line);
                told.map(|told| Said::Line(told.into_bytes())).into_iter().collect()
            }
            Relayed::Stream => {
                match serde_json::from_slice(line) {
                    Ok(StreamLine::Event { cursor, .. }) => self.place.cursor = Some(cursor),
                    Ok(StreamLine::Hello(hello)) if self.place.cursor.is_none() => {
                        self.place.cursor = hello.cursor;
                    }
                    Ok(_) | Err(_) => {}
                }
                vec![Said::Line(line.to_vec())]
            }
            Relayed::Http(_) => {
                if self.page.as_deref() == Some(line) {
                    return Vec::new();
                }
                self.page = Some(line.to_vec());
                vec![Said::Line(line.to_vec())]
            }
            Relayed::Anomaly => match serde_json::from_slice(line) {
                Ok(said) => self.alerts(said, now),
                Err(_) => Vec::new(),
            },
        }
    }

    fn remember(&mut self, line: &[u8]) {
        let Some(record) = Record::parse(line) else { return };
        let newest = self.place.since.as_deref().and_then(time::parse);
        if record.time().is_some_and(|at| newest.is_none_or(|newest| at >= newest)) {
            self.place.since = Some(record.ts);
        }
    }

    fn alerts(&mut self, line: StreamLine, now: Timestamp) -> Vec<Said> {
        match line {
            StreamLine::Alert { identity, alert } => self.begin(identity, alert),
            StreamLine::Resolved { detector, identity, firing_for_s } => {
                self.firing.retain(|firing| firing.identity != identity);
                vec![Said::Resolved { detector, identity, firing_for_s }]
            }
            // By the first silence a connection has told of everything that fires.
            StreamLine::Heartbeat { .. } => {
                let (told, over) =
                    std::mem::take(&mut self.firing).into_iter().partition(|firing| firing.is_told);
                self.firing = told;
                let over: Vec<Firing> = over;
                over.into_iter().map(|firing| firing.resolved(now)).collect()
            }
            StreamLine::State(state) => {
                let known = std::mem::replace(&mut self.blind, state.cannot_judge);
                let new = self.blind.iter().filter(|blindness| !known.contains(blindness));
                new.cloned().map(Said::Blind).collect()
            }
            StreamLine::Hello(_) | StreamLine::Event { .. } => Vec::new(),
        }
    }

    fn begin(&mut self, identity: String, alert: Alert) -> Vec<Said> {
        if let Some(known) = self.firing.iter_mut().find(|firing| firing.identity == identity) {
            known.is_told = true;
            return Vec::new();
        }
        if self.firing.len() >= FIRING_MAX {
            self.firing.remove(0);
        }
        self.firing.push(Firing { identity, alert: alert.clone(), is_told: true });
        vec![Said::Begun(alert)]
    }
}

impl Firing {
    fn resolved(self, now: Timestamp) -> Said {
        let since = time::parse(&self.alert.ts);
        let firing_for_s = since.map_or(0, |since| now.duration_since(since).as_secs().max(0));
        Said::Resolved { detector: self.alert.detector, identity: self.identity, firing_for_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T00:10:00Z".parse().unwrap()
    }

    fn alert(identity: &str) -> String {
        format!(
            r#"{{"type":"alert","identity":"{identity}","alert":{{"severity":"warning","detector":"hung","message":"m","context":{{}},"ts":"2026-03-01T00:00:00.000Z","auto_action":"none"}}}}"#
        )
    }

    #[test]
    fn events_pass_unchanged_and_the_newest_time_is_remembered() {
        let mut translator = Translator::new(Relayed::Events(Vec::new()));
        for line in [
            r#"{"ts":   "2026-03-01T00:00:05.000Z", "event": "a_b"}"#,
            r#"{"ts": "2026-03-01T00:00:04.000Z", "event": "a_b"}"#,
            r#"{"ts": "yesterday", "event": "a_b"}"#,
            "not json",
        ] {
            assert_eq!(translator.line(line.as_bytes(), now()), [Said::Line(line.into())]);
        }
        assert_eq!(translator.place().since.as_deref(), Some("2026-03-01T00:00:05.000Z"));
    }

    #[test]
    fn an_alert_is_told_once_over_all_connections_and_its_end_too() {
        let mut translator = Translator::new(Relayed::Anomaly);
        let mut said = |line: &str| translator.line(line.as_bytes(), now());
        let heartbeat = r#"{"type":"heartbeat","at":"x"}"#;
        assert!(matches!(said(&alert("hung:1")).as_slice(), [Said::Begun(_)]));
        assert!(matches!(said(&alert("hung:2")).as_slice(), [Said::Begun(_)]));
        assert_eq!(said(heartbeat), []);
        translator.connected();
        let mut said = |line: &str| translator.line(line.as_bytes(), now());
        assert_eq!(said(&alert("hung:2")), []);
        let gone = Said::Resolved { detector: "hung".into(), identity: "hung:1".into(), firing_for_s: 600 };
        assert_eq!(said(heartbeat), [gone]);
        assert_eq!(said(heartbeat), []);
        let resolved = r#"{"type":"resolved","detector":"hung","identity":"hung:2","firing_for_s":9}"#;
        assert!(matches!(said(resolved).as_slice(), [Said::Resolved { firing_for_s: 9, .. }]));
        assert!(matches!(said(&alert("hung:2")).as_slice(), [Said::Begun(_)]));
        assert_eq!(said("rubbish"), []);
    }

    #[test]
    fn what_cannot_be_judged_there_is_told_once_until_it_changes() {
        let mut translator = Translator::new(Relayed::Anomaly);
        let mut said = |blind: &str| {
            let line = format!(
                r#"{{"type":"state","active":true,"round_num":1,"phase":null,"running":false,"since":null,"last_exit_code":null,"last_duration_s":null,"disk_used_pct":null,"throttled_until":null{blind}}}"#
            );
            translator.line(line.as_bytes(), now())
        };
        let blind =
            |error: &str| format!(r#","cannot_judge":[{{"detector":"oauth_fail","error":"{error}"}}]"#);
        let told =
            |error: &str| [Said::Blind(Blindness { detector: "oauth_fail".into(), error: error.into() })];
        assert_eq!(said(&blind("x")), told("x"));
        assert_eq!(said(&blind("x")), []);
        assert_eq!(said(&blind("y")), told("y"));
        assert_eq!(said(""), []);
        assert_eq!(said(&blind("y")), told("y"));
    }

    #[test]
    fn a_stream_remembers_its_cursor() {
        let mut translator = Translator::new(Relayed::Stream);
        let event = r#"{"type":"event","cursor":{"file":"f","offset":9},"event":{}}"#;
        translator.line(event.as_bytes(), now());
        assert_eq!(translator.place().cursor.as_ref().map(|cursor| cursor.offset), Some(9));
    }
}
