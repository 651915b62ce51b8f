//! Properties: however streams interleave, break and repeat themselves, the fleet ends up the same.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it looks for; the rest is everything else"
)]

use std::time::Duration;

use agent_runner::store::follow::Cursor;
use agent_runner::store::time::stamp;
use agent_runner::witness::alert::{Alert, Severity};
use agent_runner::witness::stream::{Hello, State, StreamLine};
use agent_runner_inventory::Monitor;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::beginning::Beginning;
use super::fixture;
use super::fold::{Input, fold};
use super::state::{Fleet, Moment, Reach, StreamId};
use super::told::Told;

const HOSTS: [&str; 3] = ["a", "b", "c"];

fn id(host: usize) -> StreamId {
    fixture::id(HOSTS[host])
}

fn now() -> Moment {
    Moment { wall: Timestamp::from_second(1_000_000).unwrap(), mono: Duration::from_secs(5) }
}

fn hello(cursor: u64) -> StreamLine {
    let cursor = Some(Cursor::at("e", cursor));
    StreamLine::Hello(Hello { at: stamp(now().wall), cursor, ..fixture::hello() })
}

fn state(round: i64) -> StreamLine {
    StreamLine::State(State { round_num: Some(round), ..fixture::state() })
}

fn event(offset: u64) -> StreamLine {
    let event = json!({"event": "agent_exit", "round_num": offset, "exit_code": 0, "exit_cause": "clean"});
    StreamLine::Event { cursor: Cursor::at("e", offset), event }
}

fn alert(name: &str) -> StreamLine {
    let alert = Alert { severity: Severity::Warning, ts: stamp(now().wall), ..fixture::alert(name) };
    StreamLine::Alert { identity: name.into(), alert }
}

/// A host's log: events in order, and which alerts hold after each.
#[derive(Debug, Clone)]
struct Recorded {
    alerts_after: Vec<Option<u8>>,
}

impl Recorded {
    fn alert_at(&self, position: usize) -> Option<String> {
        let before = position.checked_sub(1)?;
        self.alerts_after.get(before).copied().flatten().map(|number| format!("d{number}"))
    }

    /// What one connection says that goes on behind event `from` and is cut after event `to`.
    fn connection(&self, from: usize, to: usize) -> Vec<StreamLine> {
        let mut lines = vec![hello(from as u64)];
        let mut firing = self.alert_at(from);
        lines.extend(firing.iter().map(|name| alert(name)));
        lines.push(state(from as i64));
        for position in from + 1..=to {
            lines.push(event(position as u64));
            lines.push(state(position as i64));
            let next = self.alert_at(position);
            if next != firing {
                if let Some(over) = firing.take() {
                    lines.push(StreamLine::Resolved {
                        detector: over.clone(),
                        identity: over,
                        firing_for_s: 1,
                    });
                }
                lines.extend(next.iter().map(|name| alert(name)));
                firing = next;
            }
        }
        lines
    }
}

fn fleet() -> Fleet {
    let beginning = Beginning {
        name: "f".into(),
        hosts: HOSTS.iter().map(|host| ((*host).into(), Default::default())).collect(),
        streams: (0..HOSTS.len()).map(|host| (id(host), None)).collect(),
        ..Beginning::default()
    };
    Fleet::new(beginning, &Monitor::default(), now())
}

/// Folds one list of inputs per host, taking from them in an order that `picks` decides.
fn run(mut queues: Vec<std::collections::VecDeque<Input>>, picks: &[usize]) -> (Fleet, usize, Vec<String>) {
    let mut fleet = fleet();
    let (mut events, mut life) = (0, Vec::new());
    let mut picks = picks.iter().cycle();
    while queues.iter().any(|queue| !queue.is_empty()) {
        let pick = picks.next().copied().unwrap_or_default() % queues.len();
        let next = queues[pick].pop_front().or_else(|| queues.iter_mut().find_map(|queue| queue.pop_front()));
        let Some(input) = next else { break };
        for told in fold(&mut fleet, input, &Monitor::default(), now()) {
            match told {
                Told::Event { .. } => events += 1,
                Told::Fired { alert } => life.push(format!("+{} {}", alert.key.subject, alert.key.detector)),
                Told::Resolved { alert } => {
                    life.push(format!("-{} {}", alert.key.subject, alert.key.detector))
                }
                _ => {}
            }
        }
    }
    let later = Moment { mono: now().mono + Duration::from_secs(10), ..now() };
    fold(&mut fleet, Input::Tick, &Monitor::default(), later);
    (fleet, events, life)
}

fn inputs(host: usize, connections: &[Vec<StreamLine>]) -> std::collections::VecDeque<Input> {
    let mut inputs = std::collections::VecDeque::new();
    for (number, lines) in connections.iter().enumerate() {
        if number > 0 {
            inputs.push_back(Input::Lost(id(host), "cut".into(), Reach::Reached));
        }
        inputs.push_back(Input::Connected(id(host)));
        inputs.extend(lines.iter().map(|line| Input::Line(id(host), Box::new(line.clone()))));
    }
    inputs
}

/// What is compared: everything but the alerts' ids of flapping, which depend on how often they were seen.
fn summary(fleet: &Fleet) -> Vec<String> {
    let streams = fleet.streams.iter().map(|(id, state)| {
        let rounds: Vec<i64> = state.rounds.iter().map(|round| round.number).collect();
        let alerts: Vec<&String> = state.alerts.keys().collect();
        format!("{id} {:?} {:?} {alerts:?} {rounds:?}", state.cursor, state.state)
    });
    streams.collect()
}

fn recorded() -> impl Strategy<Value = Recorded> {
    prop::collection::vec(prop::option::weighted(0.4, 0_u8..3), 1..20)
        .prop_map(|alerts_after| Recorded { alerts_after })
}

/// Where connections are cut, and how far each goes back at its beginning.
fn cuts() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0_usize..20, 0_usize..6), 0..5)
}

proptest! {
    #[test]
    fn any_interleaving_and_any_reconnection_end_in_the_same_state(
        logs in prop::collection::vec(recorded(), 3),
        cuts in prop::collection::vec(cuts(), 3),
        picks in prop::collection::vec(0_usize..3, 1..50),
    ) {
        let straight = |host: usize| inputs(host, &[logs[host].connection(0, logs[host].alerts_after.len())]);
        let (plain, plain_events, _) = run((0..3).map(straight).collect(), &[0]);
        let broken = |host: usize| {
            let (log, end) = (&logs[host], logs[host].alerts_after.len());
            let (mut connections, mut reached) = (Vec::new(), 0);
            for &(to, back) in &cuts[host] {
                let to = to.clamp(reached, end);
                connections.push(log.connection(reached.saturating_sub(back), to));
                reached = to;
            }
            connections.push(log.connection(reached, end));
            inputs(host, &connections)
        };
        let (other, other_events, life) = run((0..3).map(broken).collect(), &picks);
        prop_assert_eq!(summary(&plain), summary(&other));
        prop_assert_eq!(plain_events, other_events, "no event is lost and none is told twice");
        let mut open = std::collections::BTreeSet::new();
        for entry in &life {
            let (sign, name) = entry.split_at(1);
            prop_assert!(if sign == "+" { open.insert(name) } else { open.remove(name) }, "{:?}", life);
        }
    }
}
