//! The life of alerts: pending, firing, resolved; acknowledged, silenced, inhibited; sent, repeated, held. Pure.
//!
//! Level in, edges out: each step is given everything that holds now and compares. A step that is given the same twice
//! says nothing the second time, so it does not matter how often the fleet is looked at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use agent_runner::witness::alert::Severity;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::alert::{Ack, AlertState, Key, Muted, Phase, Subject};
use super::detectors::INHIBITIONS;
use super::silence::Silence;
use super::told::{Notice, NoticeKind, Told};

/// Past alerts kept for the views; the history has them all.
pub const PAST: usize = 500;
/// So many beginnings within the window, and the alert flaps: its end is held down.
const FLAPS: usize = 3;
/// The window, in seconds.
const FLAP_WINDOW_S: i64 = 600;
/// A flapping alert is over when it was quiet for so long, in seconds.
const HOLD_S: i64 = 300;

/// How long things take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Seconds an alert of a host has to hold until it fires.
    pub for_s: i64,
    /// Seconds until an alert that still fires is sent again.
    pub repeat_s: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { for_s: 0, repeat_s: 4 * 3600 }
    }
}

/// One alert as it holds now.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The account of its host, or the account itself.
    pub account: Option<Arc<str>>,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen.
    pub message: String,
    /// The numbers behind it.
    pub context: Map<String, Value>,
    /// Seconds it has to hold until it fires.
    pub for_s: i64,
}

/// Everything that holds at one instant, and about whom that is the whole truth.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// What holds.
    pub raised: BTreeMap<Key, Seen>,
    /// Subjects of which it is known: an alert of another subject stays as it is.
    pub known: BTreeSet<Subject>,
}

/// Open and recent alerts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Alerts {
    open: BTreeMap<Key, Arc<AlertState>>,
    past: VecDeque<Arc<AlertState>>,
    beginnings: BTreeMap<Key, VecDeque<Timestamp>>,
}

impl Alerts {
    /// Returns alerts as an earlier run left them.
    pub fn restored(open: impl IntoIterator<Item = AlertState>) -> Alerts {
        let open = open.into_iter().map(|alert| (alert.key.clone(), Arc::new(alert))).collect();
        Alerts { open, ..Alerts::default() }
    }

    /// Forgets the open ones that are not to be kept, without a word.
    pub fn retain(&mut self, keep: impl Fn(&Key) -> bool) {
        self.open.retain(|key, _| keep(key));
    }

    /// Returns the open ones, pending ones included.
    pub fn open(&self) -> impl Iterator<Item = &AlertState> {
        self.open.values().map(|alert| &**alert)
    }

    /// Returns an open one.
    pub fn get(&self, key: &Key) -> Option<&AlertState> {
        self.open.get(key).map(|alert| &**alert)
    }

    /// Returns the open ones about a stream or its host.
    pub fn on<'a>(&'a self, host: &'a str, project: &'a str) -> impl Iterator<Item = &'a AlertState> {
        self.open().filter(move |alert| {
            let subject = &alert.key.subject;
            subject.host().is_some_and(|name| &**name == host)
                && subject.project().is_none_or(|name| &**name == project)
        })
    }

    /// Returns those that are over, the newest last.
    pub fn past(&self) -> impl DoubleEndedIterator<Item = &AlertState> {
        self.past.iter().map(|alert| &**alert)
    }

    /// Notes that somebody has taken note; `None` takes it back. Returns what changed.
    pub fn acknowledge(&mut self, key: &Key, ack: Option<Ack>) -> Option<Told> {
        let alert = Arc::make_mut(self.open.get_mut(key)?);
        if alert.acked == ack {
            return None;
        }
        alert.acked = ack;
        Some(Told::Changed { alert: Arc::new(alert.clone()) })
    }

    /// Takes what holds now and returns what that changes, in the order of the keys.
    pub fn advance(
        &mut self,
        seen: &Observation,
        silences: &[Silence],
        rules: &Rules,
        now: Timestamp,
    ) -> Vec<Told> {
        let mut told = Vec::new();
        self.quiet(seen, now, &mut told);
        for (key, seen) in &seen.raised {
            self.raise(key, seen, now, &mut told);
        }
        let muted = self.muted(silences, now);
        for (alert, muted) in self.open.values_mut().zip(muted) {
            if alert.muted != muted {
                Arc::make_mut(alert).muted = muted;
                told.push(Told::Changed { alert: alert.clone() });
            }
            told.extend(due(alert, rules, now));
        }
        self.beginnings.retain(|_, times| times.back().is_some_and(|&at| since(at, now) < FLAP_WINDOW_S));
        told
    }

    fn raise(&mut self, key: &Key, seen: &Seen, now: Timestamp, told: &mut Vec<Told>) {
        let alert = self.open.entry(key.clone()).or_insert_with(|| Arc::new(begun(key, seen, now)));
        let differs = alert.message != seen.message
            || alert.context != seen.context
            || alert.severity != seen.severity
            || alert.quiet_since.is_some();
        if differs {
            let alert = Arc::make_mut(alert);
            if seen.severity > alert.severity {
                // What somebody took note of, and what was sent, was not this bad.
                alert.acked = None;
                alert.sent_at = None;
            }
            alert.severity = seen.severity;
            alert.message.clone_from(&seen.message);
            alert.context.clone_from(&seen.context);
            alert.quiet_since = None;
        }
        if alert.phase == Phase::Pending && since(alert.since, now) >= seen.for_s {
            let alert = Arc::make_mut(alert);
            alert.phase = Phase::Firing;
            alert.fired_at = Some(now);
            told.push(Told::Fired { alert: Arc::new(alert.clone()) });
            let times = self.beginnings.entry(key.clone()).or_default();
            times.push_back(now);
            while times.len() > FLAPS {
                times.pop_front();
            }
        }
    }

    /// Ends what is known not to hold any more, unless it flaps.
    fn quiet(&mut self, seen: &Observation, now: Timestamp, told: &mut Vec<Told>) {
        let gone: Vec<Key> = self
            .open
            .keys()
            .filter(|key| !seen.raised.contains_key(key) && seen.known.contains(&key.subject))
            .cloned()
            .collect();
        for key in gone {
            let flaps = self.beginnings.get(&key).is_some_and(|times| {
                times.len() >= FLAPS && times.front().is_some_and(|&first| since(first, now) < FLAP_WINDOW_S)
            });
            let Some(alert) = self.open.get_mut(&key) else { continue };
            let quiet_since = alert.quiet_since.unwrap_or(now);
            if alert.phase == Phase::Firing
                && (flaps || alert.quiet_since.is_some())
                && since(quiet_since, now) < HOLD_S
            {
                if alert.quiet_since.is_none() {
                    Arc::make_mut(alert).quiet_since = Some(now);
                }
                continue;
            }
            if let Some(ended) = self.open.remove(&key) {
                self.end(ended, now, told);
            }
        }
    }

    fn end(&mut self, mut alert: Arc<AlertState>, now: Timestamp, told: &mut Vec<Told>) {
        let fired = alert.phase == Phase::Firing;
        let ended = Arc::make_mut(&mut alert);
        ended.phase = Phase::Resolved;
        ended.resolved_at = Some(now);
        if !fired {
            // It never fired: nobody was told, nobody needs to be.
            told.push(Told::Changed { alert });
            return;
        }
        told.push(Told::Resolved { alert: alert.clone() });
        if alert.sent > 0 {
            told.push(Told::Notify(Notice { kind: NoticeKind::Resolved, alert: alert.clone(), at: now }));
        }
        if self.past.len() >= PAST {
            self.past.pop_front();
        }
        self.past.push_back(alert);
    }

    /// Returns for each open alert why it is not sent.
    fn muted(&self, silences: &[Silence], now: Timestamp) -> Vec<Option<Muted>> {
        let explained = |alert: &AlertState| {
            INHIBITIONS.iter().find(|inhibition| {
                inhibition.silences(&alert.key.detector)
                    && inhibition.subject(alert).is_some_and(|subject| {
                        let source = Key::new(subject, inhibition.source);
                        self.open.get(&source).is_some_and(|source| source.phase == Phase::Firing)
                    })
            })
        };
        let why = |alert: &AlertState| {
            let silence = silences.iter().find(|silence| silence.mutes(alert, now));
            let silenced = silence.map(|silence| Muted::Silenced(silence.id));
            silenced.or_else(|| explained(alert).map(|by| Muted::Inhibited(by.source.to_owned())))
        };
        self.open.values().map(|alert| why(alert)).collect()
    }
}

fn begun(key: &Key, seen: &Seen, now: Timestamp) -> AlertState {
    AlertState {
        key: key.clone(),
        account: seen.account.clone(),
        severity: seen.severity,
        message: seen.message.clone(),
        context: seen.context.clone(),
        phase: Phase::Pending,
        since: now,
        fired_at: None,
        resolved_at: None,
        quiet_since: None,
        acked: None,
        muted: None,
        sent_at: None,
        sent: 0,
    }
}

/// Returns the message that is due for an open alert, and notes that it was given out.
fn due(alert: &mut Arc<AlertState>, rules: &Rules, now: Timestamp) -> Option<Told> {
    if alert.phase != Phase::Firing || alert.muted.is_some() || alert.acked.is_some() {
        return None;
    }
    let kind = match alert.sent_at {
        None if alert.sent == 0 => NoticeKind::Fired,
        None => NoticeKind::Repeated,
        Some(at) if since(at, now) >= rules.repeat_s => NoticeKind::Repeated,
        Some(_) => return None,
    };
    let sent = Arc::make_mut(alert);
    sent.sent_at = Some(now);
    sent.sent = sent.sent.saturating_add(1);
    Some(Told::Notify(Notice { kind, alert: alert.clone(), at: now }))
}

/// Returns the seconds between two instants; none when the clock went back.
fn since(at: Timestamp, now: Timestamp) -> i64 {
    (now.as_second() - at.as_second()).max(0)
}
