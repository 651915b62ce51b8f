//! Hosts that send what no agent sends: garbage, a line of 100 MB, 100 000 events a second. They are named, and cost a
//! bounded amount of memory; a host beside them is heard in time.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use agent_runner_fleet::fleetview::told::Told;
use agent_runner_fleet::watcher::watch::Watcher;
use jiff::Timestamp;

use super::support::{PATIENCE, Recorded, alone, memory_kib};

/// Bytes that are no text, for ever.
const GARBAGE: &str = r#"hello; state
exec 3<&0; cat <&3 >/dev/null & w=$!
while kill -0 $w 2>/dev/null; do head -c 300000 /dev/urandom; done"#;

/// One line of 100 MB, and only then a heartbeat.
const ENDLESS: &str = r#"hello; state
head -c 100000000 /dev/zero | tr '\0' x; echo
exec 3<&0; cat <&3 >/dev/null & w=$!
while kill -0 $w 2>/dev/null; do beat; sleep 1; done"#;

/// As many events as it can print.
const FLOOD: &str = r#"hello; state
exec awk -v c="$c" 'BEGIN { for (i = c + 1; i <= c + 3000000; i++)
    printf "{\"type\":\"event\",\"cursor\":{\"file\":\"events-2026-11.jsonl\",\"offset\":%d},\"event\":{\"ts\":\"2026-11-01T00:00:00.000Z\",\"event\":\"round_end\",\"round_num\":%d}}\n", i, i }'"#;

/// An event a second, each with its time.
const GOOD: &str = r#"hello; state
exec 3<&0; cat <&3 >/dev/null & w=$!
while kill -0 $w 2>/dev/null; do n=$((n + 1)); late $n; sleep 1; done"#;

/// The alerts that name the three.
const BAD: [&str; 3] = ["endless/p stream_invalid", "flood/p stream_flood", "garbage/p stream_invalid"];
/// Events of the good host that are waited for, at least.
const EVENTS: usize = 20;
/// How late one may be: generous, the machine may be busy.
const LATE: Duration = Duration::from_secs(30);
/// What may be held of four hosts, in KiB: the 100 MB line alone would be more.
const HELD_KIB: u64 = 80 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_misbehave_are_named_and_bounded_and_delay_nobody() {
    if !alone("bad_hosts::hosts_that_misbehave_are_named_and_bounded_and_delay_nobody") {
        return;
    }
    let hosts = [("endless", ENDLESS), ("flood", FLOOD), ("garbage", GARBAGE), ("good", GOOD)];
    let fleet = Recorded::start(hosts.map(|(name, script)| (name.into(), script.into())).to_vec()).await;
    let before = memory_kib("VmRSS");
    let (mut named, mut on_time, mut worst) = (BTreeSet::new(), 0, Duration::ZERO);
    // What is told of the flood is not kept: this would be the memory that is measured.
    let tell = |_: &_, told: &[Told]| {
        for one in told {
            match one {
                Told::Fired { alert } => {
                    named.insert(format!("{} {}", alert.key.subject, alert.key.detector));
                }
                Told::Event { stream, event, .. } if &*stream.host == "good" => {
                    let at: Timestamp = event["ts"].as_str().unwrap().parse().unwrap();
                    let late = Timestamp::now().duration_since(at);
                    worst = worst.max(late.try_into().unwrap_or_default());
                    on_time += 1;
                }
                Told::Event { .. }
                | Told::Resolved { .. }
                | Told::Changed { .. }
                | Told::Notify(_)
                | Told::State { .. }
                | Told::LinkUp { .. }
                | Told::LinkDown { .. }
                | Told::Rebooted { .. }
                | Told::StopWanted { .. }
                | Told::Stopped { .. }
                | Told::StopFailed { .. }
                | Told::BrakeEngaged { .. }
                | Told::Resumed { .. } => {}
            }
        }
        let done = on_time >= EVENTS && BAD.iter().all(|name| named.contains(*name));
        if done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let last = Watcher::new(fleet.setup(60, None)).run(tell, tokio::time::sleep(PATIENCE)).await;
    let held = memory_kib("VmHWM").saturating_sub(before);
    eprintln!("{on_time} events of the good host, the latest after {worst:?}; {held} KiB held; {named:?}");
    // Garbage may come as fast as a flood.
    let of = |host: &str| named.iter().filter(|name| name.starts_with(host)).count();
    assert!(BAD.iter().all(|name| named.contains(*name)) && of("good") == 0, "{named:?}");
    assert!(on_time >= EVENTS && worst < LATE, "{on_time} events, the latest after {worst:?}");
    assert!(held < HELD_KIB, "{held} KiB were held at a time");
    assert_eq!(last.on_host("good").filter(|(_, state)| state.silent.is_none()).count(), 1);
    fleet.shutdown().await;
}
