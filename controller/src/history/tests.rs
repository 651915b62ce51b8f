//! The history: what is written is there after a kill, old files load, bounds hold.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use agent_runner::store::follow::Cursor;
use agent_runner::witness::alert::Severity;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use super::journal::{Journal, KEPT, Keeps, Written, forget};
use super::query::Wanted;
use super::{Asked, Entry, HistoryError, OUTBOX_MOST, Store};
use crate::fleetview::alert::{Ack, AlertState, Key, Phase, Subject};
use crate::fleetview::silence::Silence;
use crate::fleetview::state::{AutoStopped, StreamId};
use crate::fleetview::told::StoppedBy;
use crate::output::history_lines;

fn day() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    day().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn stream() -> StreamId {
    StreamId { host: "pi1".into(), project: "research".into() }
}

fn log(second: i64, host: &str, name: &str) -> Entry {
    Entry::Log {
        at: after(second),
        host: host.into(),
        project: "research".into(),
        kind: "event",
        name: name.into(),
        body: "{}".into(),
    }
}

fn alert(resolved: bool) -> AlertState {
    AlertState {
        key: Key::new(Subject::Stream(stream()), "hung"),
        account: Some(Arc::from("team-a")),
        severity: Severity::Warning,
        message: "m".into(),
        context: Default::default(),
        phase: if resolved { Phase::Resolved } else { Phase::Firing },
        since: day(),
        fired_at: Some(day()),
        resolved_at: resolved.then(|| after(60)),
        quiet_since: None,
        acked: None,
        muted: None,
        sent_at: Some(day()),
        sent: 1,
    }
}

fn everything(since: Timestamp) -> Wanted {
    Wanted { since, hosts: None, kinds: Vec::new(), most: 100 }
}

#[test]
fn a_mark_is_kept_beside_its_place_and_counts_for_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attic.history.db");
    let marked = Cursor { mark: Some(u32::MAX), ..Cursor::at("e", 10) };
    Store::open(&path).unwrap().write(&[Entry::Cursor(stream(), marked.clone())]).unwrap();
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.cursors().unwrap(), [(stream(), marked)]);
    // As an older release goes on in the same file.
    let sql = "INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?)";
    store.connection.execute(sql, (&*stream().host, &*stream().project, "e", 20)).unwrap();
    assert_eq!(store.cursors().unwrap(), [(stream(), Cursor::at("e", 20))]);
    store.keep_hosts(&BTreeSet::new()).unwrap();
    let left: i64 = store.connection.query_row("SELECT count(*) FROM marks", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_file_of_version_1_loads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attic.history.db");
    Connection::open(&path).unwrap().execute_batch(include_str!("fixtures/version-1.sql")).unwrap();
    let store = Store::open(&path).unwrap();
    let names: Vec<String> =
        store.log(&everything(day())).unwrap().into_iter().map(|line| line.name).collect();
    assert_eq!(names, ["agent_exit", "agent_usage_recorded", "oauth_fail", "fleet_stalled"]);
    let cursor = Cursor::at("events-2026-11.jsonl", 4711);
    assert_eq!(store.cursors().unwrap(), [(stream(), cursor)]);
    let open = store.open_alerts().unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(
        (&*open[0].key.detector, open[0].sent, open[0].severity),
        ("oauth_fail", 1, Severity::Critical)
    );
    let past = store.past_alerts(day(), 10).unwrap();
    assert_eq!(past.len(), 1);
    assert_eq!(past[0].firing_for_s(day()), 3600);
    assert_eq!(store.acks().unwrap()[0].0, open[0].key);
    assert_eq!(store.silences(day()).unwrap()[0].comment, "moving house");
    assert_eq!(store.stops().unwrap()[0].1.detector, "oauth_fail");
    assert_eq!(store.waiting("webhook https://x #00000000").unwrap(), (1, 2));
    let hours = store.hours(day()).unwrap();
    assert_eq!((hours.len(), hours[0].2.rounds, hours[0].2.failures, hours[0].2.cost_usd), (1, 1, 1, 0.25));
}

#[test]
fn a_round_that_was_ended_after_its_result_is_no_failure_of_its_hour() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("h.db")).unwrap();
    let exits = ["clean", "grace_kill", "timeout", "error"].map(|cause| Entry::Log {
        at: day(),
        host: "pi1".into(),
        project: "p".into(),
        kind: "event",
        name: "agent_exit".into(),
        body: format!("{{\"exit_cause\":\"{cause}\"}}"),
    });
    store.write(&exits).unwrap();
    let hours = store.hours(day()).unwrap();
    assert_eq!((hours.len(), hours[0].2.rounds, hours[0].2.failures), (1, 4, 2));
}

#[test]
fn a_file_of_a_newer_release_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attic.history.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 99; CREATE TABLE future (x)")
        .unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, HistoryError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn folder_and_file_are_for_this_user_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = super::path(dir.path(), "attic");
    drop(Store::open(&path).unwrap());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
}

#[test]
fn an_alert_is_open_until_it_is_resolved_and_an_ack_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("h.db")).unwrap();
    let ack = Ack { by: "me".into(), at: after(5) };
    store.write(&[Entry::Alert(Box::new(alert(false)))]).unwrap();
    store.acknowledge(&alert(false).key, &ack).unwrap();
    store.write(&[Entry::Alert(Box::new(AlertState { acked: Some(ack.clone()), ..alert(false) }))]).unwrap();
    assert_eq!(store.acks().unwrap(), [(alert(false).key, ack.clone())]);
    assert_eq!(store.open_alerts().unwrap(), [AlertState { acked: Some(ack), ..alert(false) }]);
    store.write(&[Entry::Alert(Box::new(alert(true)))]).unwrap();
    assert!(store.open_alerts().unwrap().is_empty() && store.acks().unwrap().is_empty());
    assert_eq!(store.past_alerts(day(), 10).unwrap(), [alert(true)]);
    let never = AlertState { fired_at: None, ..alert(true) };
    store.write(&[Entry::Alert(Box::new(never))]).unwrap();
    assert!(store.past_alerts(day(), 10).unwrap().is_empty(), "what never fired leaves nothing");
}

#[test]
fn a_transaction_is_whole_or_not_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.db");
    let mut store = Store::open(&path).unwrap();
    let cursor = |offset| Entry::Cursor(stream(), Cursor::at("e", offset));
    store.write(&[log(1, "pi1", "a"), cursor(10)]).unwrap();
    {
        // What a kill in the middle of a transaction leaves: an open transaction that is never committed.
        let work = store.connection.unchecked_transaction().unwrap();
        work.execute(
            "INSERT INTO log (at, host, project, kind, name, body) VALUES (1, '', '', '', '', '')",
            [],
        )
        .unwrap();
        std::mem::forget(work);
        std::fs::copy(&path, dir.path().join("copy.db")).unwrap();
        std::fs::copy(dir.path().join("h.db-wal"), dir.path().join("copy.db-wal")).unwrap();
    }
    let again = Store::open(&dir.path().join("copy.db")).unwrap();
    assert_eq!(again.log(&everything(Timestamp::UNIX_EPOCH)).unwrap().len(), 1);
    assert_eq!(again.cursors().unwrap()[0].1.offset, 10);
}

#[test]
fn silences_are_seen_by_another_process_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.db");
    let (mut one, other) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
    let before = other.data_version().unwrap();
    let mut silence = Silence {
        id: 0,
        matchers: vec!["host=pi*".parse().unwrap()],
        comment: "c".into(),
        by: "me".into(),
        from: day(),
        until: after(60),
    };
    silence.id = one.silence(&silence).unwrap();
    assert_ne!(other.data_version().unwrap(), before);
    assert_eq!(other.silences(after(30)).unwrap(), [silence.clone()]);
    assert_eq!(other.silences(after(60)).unwrap(), []);
    assert!(one.expire(silence.id, "me", after(10)).unwrap());
    assert!(!one.expire(silence.id, "me", after(20)).unwrap(), "it has ended already");
    assert_eq!(other.silences(after(30)).unwrap(), []);
}

#[test]
fn a_sinks_messages_come_in_order_and_the_oldest_of_too_many_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("h.db")).unwrap();
    let message = |number: i64| Entry::Message {
        sink: "s".into(),
        at: after(number),
        body: format!("{{\"n\":{number}}}"),
    };
    let all: Vec<Entry> = (0..OUTBOX_MOST + 5).map(message).collect();
    store.write(&all).unwrap();
    assert_eq!(store.waiting("s").unwrap(), (10_000, 5));
    let first = store.next_message("s").unwrap().unwrap();
    assert_eq!(first.body, "{\"n\":5}");
    store.message_sent(first.id).unwrap();
    assert_eq!(store.next_message("s").unwrap().unwrap().body, "{\"n\":6}");
    store.keep_sinks(&["t".into()]).unwrap();
    assert_eq!(store.next_message("s").unwrap(), None);
}

#[test]
fn a_stop_is_remembered_until_somebody_brings_the_service_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("h.db")).unwrap();
    let stopped = AutoStopped { detector: "oauth_fail".into(), at: day(), by: StoppedBy::Host };
    store.write(&[Entry::Stopped(stream(), stopped.clone())]).unwrap();
    assert_eq!(store.stops().unwrap(), [(stream(), stopped)]);
    store.write(&[Entry::Resumed(stream())]).unwrap();
    assert_eq!(store.stops().unwrap(), []);
}

#[test]
fn the_controllers_own_stops_are_remembered_though_the_service_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("h.db")).unwrap();
    let stop = |second, by: &str| Entry::Log {
        at: after(second),
        host: "pi1".into(),
        project: "research".into(),
        kind: "stop",
        name: "oauth_fail".into(),
        body: format!("{{\"by\":\"{by}\"}}"),
    };
    let stopped = AutoStopped { detector: "oauth_fail".into(), at: after(20), by: StoppedBy::Controller };
    store.write(&[stop(1, "controller"), stop(10, "host"), stop(20, "controller")]).unwrap();
    store.write(&[Entry::Stopped(stream(), stopped), Entry::Resumed(stream())]).unwrap();
    let stops = |seconds: &[i64]| -> Vec<(Arc<str>, Timestamp)> {
        seconds.iter().map(|&second| ("pi1".into(), after(second))).collect()
    };
    assert_eq!(store.own_stops(after(2)).unwrap(), stops(&[20]));
    assert_eq!(store.own_stops(day()).unwrap(), stops(&[1, 20]));
}

#[test]
fn the_places_of_hosts_that_the_inventory_has_no_more_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("h.db")).unwrap();
    let cursor = |host: &str| {
        let id = StreamId { host: host.into(), project: "p".into() };
        Entry::Cursor(id, Cursor::at("e", 1))
    };
    store.write(&["pi1", "pi2", "pi3"].map(cursor)).unwrap();
    store.keep_hosts(&["pi2", "pi4"].into()).unwrap();
    let left: Vec<String> = store.cursors().unwrap().iter().map(|(id, _)| id.host.to_string()).collect();
    assert_eq!(left, ["pi2"]);
}

#[test]
fn a_message_that_its_sink_refused_is_gone_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("h.db")).unwrap();
    let message =
        |number: i64| Entry::Message { sink: "s".into(), at: after(number), body: number.to_string() };
    store.write(&[message(1), message(2)]).unwrap();
    let first = store.next_message("s").unwrap().unwrap();
    store.message_dropped("s", first.id).unwrap();
    assert_eq!(store.next_message("s").unwrap().unwrap().body, "2");
    assert_eq!(store.waiting("s").unwrap(), (1, 1));
    store.message_dropped("s", first.id).unwrap();
    assert_eq!(store.waiting("s").unwrap(), (1, 1), "it is counted once");
}

#[test]
fn the_log_is_asked_by_time_host_and_kind_and_forgets_after_90_days() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("h.db")).unwrap();
    store.write(&[log(1, "pi1", "a"), log(2, "pi2", "b"), log(3, "pi1", "c")]).unwrap();
    let names = |wanted: Wanted| -> Vec<String> {
        store.log(&wanted).unwrap().into_iter().map(|line| line.name).collect()
    };
    assert_eq!(names(everything(after(2))), ["b", "c"]);
    assert_eq!(names(Wanted { hosts: Some(vec!["pi1".into()]), ..everything(day()) }), ["a", "c"]);
    assert_eq!(names(Wanted { kinds: vec!["b".into()], ..everything(day()) }), ["b"]);
    assert_eq!(names(Wanted { kinds: vec!["event".into()], most: 1, ..everything(day()) }), ["c"]);
    assert!(!store.prune(after(90 * 86_400 + 2)).unwrap());
    assert_eq!(store.log(&everything(day())).unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_and_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.db");
    let store = Store::open(&path).unwrap();
    store.connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let blocker = Connection::open(&path).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let journal = Journal::start(store).unwrap();
    let first = journal.write(vec![log(1, "pi1", "a")]).unwrap().await.unwrap();
    assert!(matches!(first, Written::Kept(why) if why.contains("locked")));
    blocker.execute_batch("COMMIT").unwrap();
    assert_eq!(journal.write(vec![log(2, "pi1", "b")]).unwrap().await.unwrap(), Written::All);
    assert_eq!(Store::open(&path).unwrap().log(&everything(day())).unwrap().len(), 2);
}

#[test]
fn past_alerts_are_bounded_in_number_and_open_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("history.sqlite")).unwrap();
    let past = (0..100).map(|second| AlertState {
        since: after(second),
        resolved_at: Some(after(second + 1)),
        ..alert(true)
    });
    let mut entries: Vec<Entry> = past.map(|alert| Entry::Alert(Box::new(alert))).collect();
    entries.push(Entry::Alert(Box::new(AlertState { since: after(1000), ..alert(false) })));
    store.write(&entries).unwrap();
    store.past_alerts_up_to(10).unwrap();
    let past = store.past_alerts(day(), 1000).unwrap();
    assert_eq!((past.len(), past[0].since, past[9].since), (10, after(99), after(90)), "the newest stay");
    assert_eq!(store.open_alerts().unwrap().len(), 1);
}

#[test]
fn what_is_kept_is_bounded_and_alerts_outlive_events() {
    let mut kept: Vec<Entry> = (0..50_000).map(|second| log(second, "pi1", "a")).collect();
    kept.push(Entry::Alert(Box::new(alert(false))));
    kept.extend((0..KEPT as i64).map(|second| log(second, "pi1", "b")));
    forget(&mut kept);
    assert_eq!(kept.len(), KEPT);
    assert!(matches!(&kept[0], Entry::Alert(_)));
}

#[tokio::test]
async fn what_people_ask_for_is_in_the_log_with_their_name_and_ends_with_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.db");
    // A watch that only looks on keeps nothing else.
    let journal = Journal::keeping(Store::open(&path).unwrap(), Keeps::Words).unwrap();
    let silence = Silence {
        id: 0,
        matchers: vec!["host=pi*".parse().unwrap()],
        comment: "moving".into(),
        by: "ann".into(),
        from: after(1),
        until: after(100),
    };
    let id = journal.silence(silence).await.unwrap();
    assert!(journal.expire(id, "ben".into(), after(2)).await.unwrap());
    assert!(!journal.expire(id, "eve".into(), after(3)).await.unwrap(), "it has ended: no line");
    let key = alert(false).key;
    journal.acknowledge(key.clone(), Ack { by: "cat".into(), at: after(4) }).await.unwrap();
    journal.unacknowledge(key, Ack { by: "dan".into(), at: after(5) }).await.unwrap();
    let asked = Asked { at: after(6), by: "eli", what: "stop", run: None, error: Some("no route") };
    journal.remember(vec![asked.of(&stream())]);
    assert_eq!(journal.write(vec![log(7, "pi1", "agent_exit")]).unwrap().await.unwrap(), Written::All);
    // Whoever is answered comes after what was remembered.
    journal.words(day()).await.unwrap();
    let lines = Store::open(&path).unwrap().log(&everything(day())).unwrap();
    let said: Vec<String> = lines
        .iter()
        .map(|line| format!("{} {} {}: {}", line.kind, line.name, line.host, history_lines::what(line)))
        .collect();
    assert_eq!(
        said,
        [
            "silence silence : 1 host=pi* until 2026-11-01T00:01:40.000Z by ann: moving",
            "silence unsilence : 1 ended by ben",
            "ack hung pi1: hung by cat",
            "unack hung pi1: hung by dan",
            "asked stop pi1: stop by eli failed: no route",
        ]
    );
}
