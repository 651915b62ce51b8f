//! What the pages share: the last view, its diffs to all of them, the newest events, counters.
//!
//! The view is made once for all pages, when something changed and somebody looks; the hub lets that be at most four
//! times a second. A page that cannot keep up gets a whole view instead of the diffs it missed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval};

use super::actions::Actions;
use super::counters::{Counted, count};
use super::view::View;
use crate::fleetview::silence::glob;
use crate::fleetview::told::Told;
use crate::output::fleet_lines;
use crate::watcher::hub::{Hub, News};

/// Updates a page may be behind.
const BEHIND: usize = 32;
/// Events that are remembered of each project of each host: a noisy one pushes out nobody else's.
const EVENTS: usize = 40;
/// The longest event that is remembered whole, in bytes of JSON.
const EVENT_BYTES: usize = 4096;
/// How often a page is told that the watch goes on, in seconds.
pub const BEAT_S: u64 = 2;

/// The shared part; clones are the same board.
#[derive(Debug, Clone)]
pub struct Board {
    hub: Hub,
    actions: Actions,
    inner: Arc<Mutex<Inner>>,
    updates: broadcast::Sender<Bytes>,
}

#[derive(Debug, Default)]
struct Inner {
    view: Option<View>,
    /// By host and project, both empty for what is the fleet's own.
    events: BTreeMap<(String, String), VecDeque<Remembered>>,
    noted: u64,
    counted: Counted,
}

/// One event: its text instead of its value, which takes a fraction of the memory.
#[derive(Debug)]
struct Remembered {
    number: u64,
    kind: String,
    text: Box<str>,
}

/// Patterns of the events that are asked for; none is like any.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of which hosts.
    pub host: Option<String>,
    /// Of which projects.
    pub project: Option<String>,
    /// Of which kinds.
    pub kind: Option<String>,
}

impl Board {
    /// Returns the board of a watch.
    pub fn new(hub: Hub, actions: Actions) -> Board {
        let updates = broadcast::channel(BEHIND).0;
        Board { hub, actions, inner: Arc::default(), updates }
    }

    /// Returns the whole view as the first message of a stream, and the diffs that follow it without a gap.
    pub fn subscribe(&self) -> (Bytes, broadcast::Receiver<Bytes>) {
        let mut inner = self.lock();
        self.refresh(&mut inner);
        let full = inner.view.as_ref().map(View::full).unwrap_or_default();
        (message("full", &full), self.updates.subscribe())
    }

    /// Returns the view as it is now.
    pub fn view(&self) -> View {
        View::of(&self.hub.snapshot(), self.actions.list())
    }

    /// Returns how many pages are open.
    pub fn pages(&self) -> usize {
        self.updates.receiver_count()
    }

    /// Returns the counters as they are now.
    pub fn counted(&self) -> Counted {
        self.lock().counted.clone()
    }

    /// Returns remembered events that are like `wanted`, the newest first.
    pub fn events(&self, most: usize, wanted: &Wanted) -> Vec<Value> {
        self.lock().events(most, wanted)
    }

    /// Tells the pages at once that a wish began or ended.
    pub fn acted(&self) {
        self.refresh(&mut self.lock());
    }

    /// Follows the hub, and the news it tells since they were asked for, until the watch ends.
    pub async fn run(self, mut told: News) {
        let mut changes = self.hub.changes();
        let mut beat = interval(Duration::from_secs(BEAT_S));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                news = told.recv() => match news {
                    Ok(news) => self.note(&news),
                    Err(broadcast::error::RecvError::Lagged(missed)) => {
                        tracing::warn!("{missed} batches of events came faster than the dashboard counts them");
                    }
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if self.pages() > 0 {
                        self.refresh(&mut self.lock());
                    }
                }
                _ = beat.tick() => {
                    // The snapshot's own time: a watch that stands still shows as one.
                    let at = self.hub.snapshot().now.wall;
                    self.send(message("beat", &serde_json::json!({"at": agent_runner::store::time::stamp(at)})));
                }
            }
        }
    }

    fn note(&self, told: &[Told]) {
        let (at, fleet) = (Timestamp::now(), self.hub.snapshot().name.clone());
        let mut inner = self.lock();
        count(&mut inner.counted, told);
        for line in told.iter().filter_map(|one| line(one, &fleet, at)) {
            inner.remember(&line);
        }
    }

    fn refresh(&self, inner: &mut Inner) {
        let newer = self.view();
        if let Some(diff) = inner.view.as_ref().and_then(|view| view.diff(&newer)) {
            self.send(message("diff", &diff));
        }
        inner.view = Some(newer);
    }

    fn send(&self, update: Bytes) {
        // Nobody may be looking.
        let _ = self.updates.send(update);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remember(&mut self, line: &Value) {
        let text = |key| line.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = line.get("event").and_then(|event| event.get("event")).and_then(Value::as_str);
        let kind = kind.map_or_else(|| text("type"), str::to_owned);
        self.noted += 1;
        let ring = self.events.entry((text("host"), text("project"))).or_default();
        if ring.len() >= EVENTS {
            ring.pop_front();
        }
        ring.push_back(Remembered { number: self.noted, kind, text: line.to_string().into() });
    }

    fn events(&self, most: usize, wanted: &Wanted) -> Vec<Value> {
        let like =
            |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|pattern| glob(pattern, text));
        let rings = self
            .events
            .iter()
            .filter(|((host, project), _)| like(&wanted.host, host) && like(&wanted.project, project));
        let each = rings.flat_map(|(_, ring)| ring).filter(|event| like(&wanted.kind, &event.kind));
        let mut found: Vec<&Remembered> = each.collect();
        found.sort_unstable_by_key(|event| std::cmp::Reverse(event.number));
        found.into_iter().take(most).filter_map(|event| serde_json::from_str(&event.text).ok()).collect()
    }
}

/// Returns one server-sent event. JSON has no line ends of its own.
fn message(kind: &str, value: &Value) -> Bytes {
    format!("event: {kind}\ndata: {value}\n\n").into()
}

/// Returns what is remembered of something told: what a person asks for, in a bounded form.
fn line(told: &Told, fleet: &str, at: Timestamp) -> Option<Value> {
    match told {
        Told::State { .. } | Told::Notify(_) | Told::Changed { .. } => return None,
        Told::Event { .. }
        | Told::Fired { .. }
        | Told::Resolved { .. }
        | Told::LinkUp { .. }
        | Told::LinkDown { .. }
        | Told::Rebooted { .. }
        | Told::StopWanted { .. }
        | Told::Stopped { .. }
        | Told::StopFailed { .. }
        | Told::BrakeEngaged { .. }
        | Told::Resumed { .. } => {}
    }
    let mut line = fleet_lines::json(told, fleet, at);
    if line.to_string().len() > EVENT_BYTES
        && let Some(object) = line.as_object_mut()
    {
        let kind = object.get("event").and_then(|event| event.get("event")).cloned();
        object
            .retain(|key, _| matches!(key.as_str(), "schema" | "at" | "type" | "fleet" | "host" | "project"));
        object.insert("event".into(), serde_json::json!({"event": kind}));
        object.insert("cut".into(), true.into());
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleetview::state::StreamId;
    use agent_runner::store::follow::Cursor;
    use serde_json::json;

    #[test]
    fn a_huge_event_is_remembered_by_its_name_only() {
        let stream = StreamId { host: "pi1".into(), project: "p".into() };
        let cursor = Cursor::at("events-2026-01.jsonl", 1);
        let event = json!({"event": "round_end", "text": "x".repeat(60_000)});
        let line = line(&Told::Event { stream, cursor, event }, "attic", Timestamp::UNIX_EPOCH).unwrap();
        assert!(line.to_string().len() < 300, "{line}");
        assert_eq!(
            (&line["event"]["event"], &line["cut"], &line["host"]),
            (&json!("round_end"), &json!(true), &json!("pi1"))
        );
    }

    #[test]
    fn a_noisy_host_pushes_out_no_other_hosts_events() {
        let mut inner = Inner::default();
        inner.remember(&json!({"type": "link_up", "host": "quiet", "project": "p"}));
        for number in 0..1000 {
            inner.remember(&json!({"type": "event", "host": "noisy", "project": "p",
                "event": {"event": "round_end", "n": number}}));
        }
        let all = inner.events(1000, &Wanted::default());
        assert_eq!(all.len(), EVENTS + 1);
        assert_eq!(all[0]["event"]["n"], 999, "the newest first");
        let of = |host: &str, kind: &str| {
            let wanted = Wanted { host: Some(host.into()), project: None, kind: Some(kind.into()) };
            inner.events(1000, &wanted).len()
        };
        assert_eq!((of("qui*", "link_up"), of("*", "round_*"), of("quiet", "round_*")), (1, EVENTS, 0));
    }

    #[test]
    fn a_message_is_one_event_whatever_is_in_it() {
        let text = message("diff", &json!({"a": "x\n\ndata: y\r\n"}));
        let text = std::str::from_utf8(&text).unwrap();
        assert_eq!(text.matches('\n').count(), 3, "{text:?}");
        assert!(!text.contains('\r'));
    }
}
