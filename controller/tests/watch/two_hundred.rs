//! A fleet of 200 hosts, of which 20 hang, the connections of 20 flap and the alerts of 20 do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent_runner_fleet::fleetview::beginning::Beginning;
use agent_runner_fleet::fleetview::fold::{Input, fold};
use agent_runner_fleet::fleetview::state::{Fleet, Moment, StreamId};
use agent_runner_fleet::fleetview::told::{NoticeKind, Told};
use agent_runner_inventory::Monitor;
use jiff::Timestamp;
use serde_json::json;

use super::support::{Recorded, alone, memory_kib, told_until};

const EVENTS: usize = 20;

/// Alerts in the middle of its events, and takes that back when it is told to.
const WELL: &str = r#"hello; state
for n in 1 2 3 4 5 6 7 8 9 10; do emit $n; done
alert hung
for n in 11 12 13 14 15 16 17 18 19 20; do emit $n; done
exec 3<&0; cat <&3 >/dev/null & w=$!
while kill -0 $w 2>/dev/null; do
    [ ! -e "$HOME/../step1" ] || [ "$over" ] || { resolved hung; over=1; }
    beat; sleep 2
done"#;

/// As the well ones, but alerts again and takes it back again, each time that it is told to.
const BLINKING: &str = r#"hello; state; alert hung; done=0
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do emit $n; done
exec 3<&0; cat <&3 >/dev/null & w=$!
while kill -0 $w 2>/dev/null; do
    if [ -e "$HOME/../step$((done + 1))" ]; then
        done=$((done + 1))
        case $done in 1 | 3 | 5) resolved hung ;; *) alert hung ;; esac
    fi
    beat; sleep 1
done"#;

/// How often the blinking ones have begun and ended, as the sinks know it, when they may go on to the next step. The
/// third beginning within ten minutes holds the end down.
const STEPS: [(usize, usize); 5] = [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2)];

/// Says hello once and never anything again, however often it is asked.
const HUNG: &str = r#"[ -e "$HOME/said" ] || { hello; state; }; : >"$HOME/said"; cat >/dev/null"#;

/// Says four events more than it is asked to go on behind, and is cut off in the middle of a line.
const FLAPPING: &str = r#"hello; [ "$c" -lt 8 ] || alert hung; state
for n in 1 2 3 4; do [ $((c + n)) -gt 20 ] || emit $((c + n)); done
if [ "$c" -lt 20 ]; then printf '{"type":"eve'; exit 0; fi
exec 3<&0; cat <&3 >/dev/null & w=$!
while kill -0 $w 2>/dev/null; do beat; sleep 2; done"#;

/// Says twenty events more when it is told to, each with the time it says it at.
const LATE: &str = r#"hello; state; n=0
exec 3<&0; cat <&3 >/dev/null & w=$!
while kill -0 $w 2>/dev/null; do
    beat
    if [ -e "$HOME/../step1" ] && [ $n -lt 20 ]; then n=$((n + 1)); late $n; sleep 0.5; else sleep 1; fi
done"#;

/// How late an event may be that happens while everything else goes on: generous, the machine may be busy.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hung_and_flapping_hosts_delay_nobody_and_nothing_is_lost_or_doubled() {
    let script = |number: usize| match number {
        0..140 => WELL,
        140..160 => BLINKING,
        160..180 => HUNG,
        180..200 => FLAPPING,
        _ => LATE,
    };
    let hosts = (0..=200).map(|number| (format!("h{number:03}"), script(number).to_owned())).collect();
    let fleet = Recorded::start(hosts).await;
    let number = |host: &str| host[1..].parse::<usize>().unwrap();
    let silent = |fleet: &Fleet| -> BTreeSet<usize> {
        let silent = fleet.streams.iter().filter(|(_, state)| state.silent.is_some());
        silent.map(|(id, _)| number(&id.host)).collect()
    };
    let hung: BTreeSet<usize> = (160..180).collect();
    // What is over before the host has named its alerts is not known to be over.
    let spoken = |fleet: &Fleet| {
        let mut streams = fleet.streams.iter().filter(|(id, _)| number(&id.host) < 160);
        streams.all(|(_, state)| state.spoken)
    };
    let (mut looked, mut heard, mut late, mut step) = (0, 0, Vec::new(), 0);
    let (last, told) = told_until(fleet.setup(60, None), |known, told| {
        looked += 1;
        let quiet = told.len() == heard;
        for one in &told[heard..] {
            if let Told::Event { stream, event, .. } = one
                && &*stream.host == "h200"
            {
                let at: Timestamp = event["ts"].as_str().unwrap().parse().unwrap();
                late.push(Timestamp::now().duration_since(at));
            }
        }
        heard = told.len();
        // Counting everything told each time would be what takes the time.
        if !quiet && looked % 20 != 0 {
            return false;
        }
        let sent = sent(told);
        let arrived = STEPS.get(step).is_some_and(|expected| {
            (140..160).all(|number| sent.get(&format!("h{number:03}/p")) == Some(expected))
        });
        let begun = step > 0
            || silent(known) == hung
                && spoken(known)
                && events(told).values().filter(|seen| seen.len() >= EVENTS).count() == 180
                && sent.len() == 180;
        if arrived && begun {
            step += 1;
            std::fs::write(fleet.root.path().join(format!("step{step}")), "").unwrap();
        }
        let held = known.alerts.open().filter(|alert| alert.quiet_since.is_some()).count();
        let over = (0..140).all(|number| sent.get(&format!("h{number:03}/p")) == Some(&(1, 1)));
        step == STEPS.len() && held == 20 && over && late.len() == EVENTS
    })
    .await;
    assert_eq!(step, STEPS.len(), "every step was arrived at: {:?}", sent(&told));
    late.sort();
    assert_eq!(late.len(), EVENTS);
    let (median, worst) = (late[EVENTS / 2], late[EVENTS - 1]);
    eprintln!("an event is seen {median:?} after it happened in the median, {worst:?} at worst");
    assert!(worst < SOON.try_into().unwrap(), "an event was seen {worst:?} after it happened");
    let events = events(&told);
    let expected: Vec<u64> = (1..=EVENTS as u64).collect();
    assert_eq!(events.len(), 181);
    for (host, seen) in events {
        assert_eq!(seen, expected, "{host}: every event once, in order");
    }
    assert_eq!(silent(&last), hung);
    let sent = sent(&told);
    assert_eq!(sent.len(), 180);
    for (host, counts) in &sent {
        let expected = match number(&host[..4]) {
            0..140 => (1, 1),
            140..160 => (3, 2),
            _ => (1, 0),
        };
        assert_eq!(*counts, expected, "{host}: each beginning and each end sent once");
    }
    fleet.shutdown().await;
}

/// How often the sinks were told that a host hangs, and that it does not any more, by whose it is.
fn sent(told: &[Told]) -> BTreeMap<String, (usize, usize)> {
    let mut sent = BTreeMap::new();
    for told in told {
        if let Told::Notify(notice) = told
            && &*notice.alert.key.detector == "hung"
        {
            let (begun, ended): &mut (usize, usize) =
                sent.entry(notice.alert.key.subject.to_string()).or_default();
            match notice.kind {
                // A repetition, hours before its time, is one too many.
                NoticeKind::Fired | NoticeKind::Repeated => *begun += 1,
                NoticeKind::Resolved => *ended += 1,
            }
        }
    }
    sent
}

fn events(told: &[Told]) -> BTreeMap<String, Vec<u64>> {
    let mut events: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for one in told {
        if let Told::Event { stream, cursor, .. } = one {
            events.entry(stream.host.to_string()).or_default().push(cursor.offset);
        }
    }
    events
}

/// Counts everything a fleet remembers.
fn remembered(fleet: &Fleet) -> usize {
    let streams = fleet
        .streams
        .values()
        .map(|state| state.rounds.iter().len() + state.trend.iter().len() + state.alerts.len());
    streams.sum::<usize>() + fleet.alerts.open().count() + fleet.alerts.past().count()
}

/// Hours after which every ring is full: the trend keeps a day.
const WARM: u64 = 30;

#[test]
fn what_is_remembered_of_200_hosts_does_not_grow_from_hour_to_hour() {
    if !alone("two_hundred::what_is_remembered_of_200_hosts_does_not_grow_from_hour_to_hour") {
        return;
    }
    use agent_runner::store::follow::Cursor;
    use agent_runner::witness::stream::StreamLine;
    let id = |host: usize| StreamId { host: format!("h{host}").into(), project: "p".into() };
    let beginning =
        Beginning { streams: (0..200).map(|host| (id(host), None)).collect(), ..Beginning::default() };
    let at = |second: u64| Moment {
        wall: Timestamp::from_second(second as i64).unwrap(),
        mono: Duration::from_secs(second),
    };
    let policy = Monitor::default();
    let mut fleet = Fleet::new(beginning, &policy, at(0));
    let mut after = Vec::new();
    let mut round = 0;
    let mut warm_kib = 0;
    for hour in 0..2 * WARM {
        for tenth in 0..10_u64 {
            let second = hour * 3600 + tenth * 360;
            for host in 0..200 {
                round += 1;
                for event in ["round_start", "agent_exit", "agent_usage_recorded"] {
                    let event = json!({"event": event, "round_num": round, "cost_usd": 0.1});
                    let cursor = Cursor::at("e", round * 10);
                    let line = StreamLine::Event { cursor, event };
                    fold(&mut fleet, Input::Line(id(host), Box::new(line)), &policy, at(second));
                }
                if tenth == 5 {
                    fold(&mut fleet, Input::Garbled(id(host), "x".repeat(200)), &policy, at(second));
                }
            }
            fold(&mut fleet, Input::Tick, &policy, at(second));
        }
        after.push(remembered(&fleet));
        if hour == WARM {
            warm_kib = memory_kib("VmRSS");
        }
    }
    let end_kib = memory_kib("VmRSS");
    eprintln!("{warm_kib} KiB after {WARM} h, {end_kib} KiB after {} h", 2 * WARM);
    assert_eq!(after.last(), after.get(WARM as usize), "{after:?}");
    // 30 hours of 200 hosts are 60 000 rounds: kept, they would be ten megabytes and more.
    assert!(end_kib < warm_kib + 2048, "from {warm_kib} to {end_kib} KiB");
}
