//! What a line of the other host says here: pure. Keeps the place reached, and knows which alerts fire.

use jiff::Timestamp;

use super::command::{Place, Relayed};
use crate::store::record::Record;
use crate::store::time;
use crate::witness::alert::{Alert, Blindness};
use crate::witness::narrate;
use crate::witness::stream::{self, StreamLine};

/// Alerts remembered; the oldest is given up for a new one.
const FIRING_MAX: usize = 512;

/// The first of the ports of which the page over there gets one: Linux gives those from here on to nobody by itself.
const PORT_FIRST: u16 = 61_000;

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
    is_astray: bool,
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
        Translator {
            relayed,
            place: Place::default(),
            firing: Vec::new(),
            blind: Vec::new(),
            page: None,
            is_astray: false,
        }
    }

    /// Returns what is relayed.
    pub fn relayed(&self) -> &Relayed {
        &self.relayed
    }

    /// Returns how far it came.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns whether something is said over there at least every few seconds.
    pub fn has_heartbeat(&self) -> bool {
        match self.relayed {
            Relayed::Events(_) | Relayed::Narrate(_) => !self.place.is_by_time,
            Relayed::Anomaly | Relayed::Stream => true,
            Relayed::Http(_) => false,
        }
    }

    /// A new connection begins; `chance` is any number.
    pub fn connecting(&mut self, chance: u64) {
        self.firing.iter_mut().for_each(|firing| firing.is_told = false);
        self.is_astray = false;
        let offset = chance % u64::from(u16::MAX - PORT_FIRST);
        let port = PORT_FIRST + u16::try_from(offset).unwrap_or_default();
        self.place.port = if port == self.place.port { port + 1 } else { port };
    }

    /// Returns whether this connection goes on in the middle of a log that took the place of the one known: the next
    /// one begins at its beginning.
    pub fn is_astray(&self) -> bool {
        self.is_astray
    }

    /// The program over there does not know what it was asked for. Returns whether to ask for the same in an older way.
    pub fn refused(&mut self) -> bool {
        let has_older_way = match self.relayed {
            Relayed::Events(_) | Relayed::Narrate(_) => !self.place.is_by_time,
            Relayed::Anomaly | Relayed::Stream | Relayed::Http(_) => false,
        };
        self.place.is_by_time |= has_older_way;
        has_older_way
    }

    /// Takes the next line.
    pub fn line(&mut self, line: &[u8], now: Timestamp) -> Vec<Said> {
        if self.is_astray {
            return Vec::new();
        }
        match &self.relayed {
            Relayed::Events(_) | Relayed::Narrate(_) => {
                let written = if self.place.is_by_time { Some(line) } else { self.streamed(line) };
                written.and_then(|text| self.event(text)).into_iter().collect()
            }
            Relayed::Stream => {
                self.streamed(line);
                vec![Said::Line(line.to_vec())]
            }
            Relayed::Http(port) => {
                let text = String::from_utf8_lossy(line);
                let there = format!("127.0.0.1:{}/", self.place.port);
                let line = text.replace(&there, &format!("127.0.0.1:{port}/")).into_bytes();
                if self.page.as_ref() == Some(&line) {
                    return Vec::new();
                }
                self.page = Some(line.clone());
                vec![Said::Line(line)]
            }
            Relayed::Anomaly => match serde_json::from_slice(line) {
                Ok(said) => self.alerts(said, now),
                Err(_) => Vec::new(),
            },
        }
    }

    /// Keeps the place that a line of a stream tells; returns the event it carries.
    fn streamed<'a>(&mut self, line: &'a [u8]) -> Option<&'a [u8]> {
        if let Some((cursor, text)) = stream::event_of(line) {
            self.place.cursor = Some(cursor);
            return Some(text);
        }
        if let Ok(StreamLine::Hello(hello)) = serde_json::from_slice(line) {
            match &self.place.cursor {
                // A connection that is lost before the first event goes on where this one began.
                None => self.place.cursor = hello.cursor,
                Some(known) => {
                    if let Some(beginning) = hello.begins_anew(known) {
                        self.place.cursor = Some(beginning);
                        self.is_astray = true;
                    }
                }
            }
        }
        None
    }

    /// Returns what is said of an event. Whoever was asked by time has chosen the kinds over there.
    fn event(&mut self, text: &[u8]) -> Option<Said> {
        let record = Record::parse(text);
        if let Some(record) = &record {
            self.remember(record);
        }
        let is_asked =
            |kinds: &[String], record: &Record| kinds.iter().any(|kind| kind.trim() == record.kind);
        match &self.relayed {
            Relayed::Events(_) if self.place.is_by_time => Some(Said::Line(text.to_vec())),
            Relayed::Events(kinds) => {
                record.filter(|record| is_asked(kinds, record)).map(|_| Said::Line(text.to_vec()))
            }
            Relayed::Narrate(kinds) => {
                let record = record.filter(|record| is_asked(kinds, record))?;
                Some(Said::Line(narrate::line(&record).into_bytes()))
            }
            Relayed::Anomaly | Relayed::Stream | Relayed::Http(_) => None,
        }
    }

    fn remember(&mut self, record: &Record) {
        let newest = self.place.since.as_deref().and_then(time::parse);
        if record.time().is_some_and(|at| newest.is_none_or(|newest| at >= newest)) {
            self.place.since = Some(record.ts.clone());
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
    use crate::store::follow::Cursor;

    fn now() -> Timestamp {
        "2026-03-01T00:10:00Z".parse().unwrap()
    }

    fn alert(identity: &str) -> String {
        format!(
            r#"{{"type":"alert","identity":"{identity}","alert":{{"severity":"warning","detector":"hung","message":"m","context":{{}},"ts":"2026-03-01T00:00:00.000Z","auto_action":"none"}}}}"#
        )
    }

    #[test]
    fn events_of_a_stream_pass_unchanged_if_asked_for_and_their_place_is_kept() {
        let mut translator = Translator::new(Relayed::Events(vec!["a_b".into(), " c".into()]));
        let hello = r#"{"type":"hello","protocol":1,"version":"0","project":"p","boot_id":"b","at":"x","monitor_active":false,"auto_stop_on":[],"cursor":{"file":"f","offset":5}}"#;
        let offset = |translator: &Translator| translator.place().cursor.as_ref().map(|cursor| cursor.offset);
        assert_eq!(translator.line(hello.as_bytes(), now()), []);
        assert_eq!(offset(&translator), Some(5), "a quiet host has a place too");
        let text = |kind: &str| {
            format!(r#"{{"ts":   "2026-03-01T00:00:05.000Z", "event": "{kind}", "z": 1, "a": 1.0}}"#)
        };
        for (offset, kind, told) in [(6, "a_b", true), (7, "x", false), (8, "c", true)] {
            let cursor = Cursor::at("f", offset);
            let line = stream::event_line(&cursor, text(kind).as_bytes()).unwrap();
            let said: Vec<Said> = told.then(|| Said::Line(text(kind).into_bytes())).into_iter().collect();
            assert_eq!(translator.line(&line, now()), said);
        }
        assert_eq!(translator.line(br#"{"type":"heartbeat","at":"x"}"#, now()), []);
        assert_eq!(offset(&translator), Some(8));
        translator.line(hello.as_bytes(), now());
        assert_eq!(offset(&translator), Some(8));
    }

    #[test]
    fn a_log_that_took_the_place_of_another_is_begun_at_its_beginning() {
        let mut translator = Translator::new(Relayed::Events(vec!["a_b".into()]));
        let event = |offset| {
            let cursor = Cursor { mark: Some(1), ..Cursor::at("f", offset) };
            stream::event_line(&cursor, br#"{"event": "a_b"}"#).unwrap()
        };
        let hello = |mark: &str| {
            let text = r#"{"type":"hello","protocol":1,"version":"0","project":"p","boot_id":"b","at":"x","monitor_active":false,"auto_stop_on":[],"cursor":{"file":"f","offset":7MARK}}"#;
            text.replace("MARK", mark).into_bytes()
        };
        for mark in ["", r#","mark":1"#] {
            translator.connecting(0);
            translator.line(&hello(mark), now());
            assert_eq!(translator.line(&event(7), now()).len(), 1, "the same file, or nobody knows");
        }
        translator.connecting(0);
        translator.line(&hello(r#","mark":2"#), now());
        assert!(translator.is_astray());
        assert_eq!(translator.line(&event(9), now()), []);
        assert_eq!(translator.place().cursor, Some(Cursor::at("f", 0)));
        translator.connecting(0);
        translator.line(&hello(r#","mark":2"#), now());
        assert!(!translator.is_astray());
    }

    #[test]
    fn the_page_has_its_port_here_whatever_its_port_there_and_is_told_once() {
        let mut translator = Translator::new(Relayed::Http(8765));
        let mut ports = Vec::new();
        for chance in [0, 0, u64::MAX] {
            translator.connecting(chance);
            let there = translator.place().port;
            let said = translator.line(format!("http://127.0.0.1:{there}/").as_bytes(), now());
            let once = ports.is_empty().then(|| Said::Line(b"http://127.0.0.1:8765/".to_vec()));
            assert_eq!(said, once.into_iter().collect::<Vec<_>>());
            ports.push(there);
        }
        assert_eq!(ports[..2], [61_000, 61_001]);
        assert!(ports[2] >= 61_000);
    }

    #[test]
    fn what_an_older_program_refuses_is_asked_for_by_time_once() {
        for (relayed, older) in [
            (Relayed::Events(Vec::new()), true),
            (Relayed::Narrate(Vec::new()), true),
            (Relayed::Stream, false),
        ] {
            let mut translator = Translator::new(relayed);
            assert!(translator.has_heartbeat());
            assert_eq!((translator.refused(), translator.has_heartbeat()), (older, !older));
            assert!(!translator.refused());
        }
    }

    #[test]
    fn events_by_time_pass_unchanged_and_the_newest_time_is_remembered() {
        let mut translator = Translator::new(Relayed::Events(Vec::new()));
        assert!(translator.refused());
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
        translator.connecting(0);
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
