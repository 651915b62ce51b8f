//! Two controllers watch one fleet and send to a cluster of two Alertmanagers: one notification comes out.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use agent_runner_fleet::sinks::Place;
use agent_runner_fleet::watcher::hub::Hub;

use super::support::{Controller, Receiver, Recorded, until};
use super::webhook::FAILING;
use crate::skipped::skip;

const PROGRAM: &str = "/usr/bin/prometheus-alertmanager";

/// One member of the cluster, killed when dropped.
struct Member(Child);

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Says nothing while the file `quiet` is there.
const QUIET: &str = r#"[ ! -e "$HOME/quiet" ] || exec cat >/dev/null
hello; state
exec 3<&0; cat <&3 >/dev/null & w=$!
while kill -0 $w 2>/dev/null; do [ -e "$HOME/quiet" ] || beat; sleep 1; done"#;

/// Silence that counts as stale, in seconds: a busy machine must not look like it.
const STALE_S: u64 = 20;

/// Waits until a member that waits its turn, five seconds, has looked whether the other one has told already.
async fn their_turn_is_over() {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(15);
    until("the time of the second member is over", || tokio::time::Instant::now() > deadline).await;
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn member(dir: &Path, (web, cluster): (u16, u16), peer: u16) -> Member {
    let storage = dir.join(format!("am-{web}"));
    let log = std::fs::File::create(dir.join(format!("am-{web}.log"))).unwrap();
    let child = Command::new(PROGRAM)
        .arg(format!("--config.file={}", dir.join("am.yml").display()))
        .arg(format!("--storage.path={}", storage.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{web}"))
        .arg(format!("--cluster.listen-address=127.0.0.1:{cluster}"))
        .arg(format!("--cluster.peer=127.0.0.1:{peer}"))
        .args(["--cluster.peer-timeout=5s", "--cluster.settle-timeout=3s", "--cluster.gossip-interval=100ms"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    Member(child)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_controllers_and_two_alertmanagers_make_one_notification() {
    if !Path::new(PROGRAM).exists() {
        return skip(&format!("{PROGRAM} is not installed (Debian's prometheus-alertmanager)"));
    }
    let hosts = vec![("pi1".into(), FAILING.into()), ("pi2".into(), QUIET.into())];
    let fleet = Recorded::start(hosts).await;
    let (bad, quiet) = (fleet.root.path().join("pi1/bad"), fleet.root.path().join("pi2/quiet"));
    std::fs::write(&bad, "").unwrap();
    let receiver = Receiver::start(0).await;
    let dir = fleet.root.path();
    let config = format!(
        "route: {{receiver: hook, group_by: ['...'], group_wait: 3s, group_interval: 5s, repeat_interval: 1h}}\n\
         receivers: [{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{}/', send_resolved: true}}]}}]\n",
        receiver.port
    );
    std::fs::write(dir.join("am.yml"), config).unwrap();
    let ports = [(free_port(), free_port()), (free_port(), free_port())];
    let _members = [member(dir, ports[0], ports[1].1), member(dir, ports[1], ports[0].1)];
    let up = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    until("both Alertmanagers listen", || ports.iter().all(|&(web, _)| up(web))).await;
    // Each controller tells both members, as Prometheus does: the cluster decides who notifies.
    let places = || -> Vec<Place> {
        let url = |&(web, _): &(u16, u16)| Place::Alertmanager { url: format!("http://127.0.0.1:{web}") };
        ports.iter().map(url).collect()
    };
    let one = Controller::impatient(&fleet, &dir.join("one.db"), places(), STALE_S);
    let two = Controller::impatient(&fleet, &dir.join("two.db"), places(), STALE_S);
    // What the receiver was told of an alert: how it stood each time.
    let told = |host: &str, detector: &str| -> Vec<String> {
        let bodies = receiver.bodies();
        let of = bodies
            .iter()
            .flat_map(|body| body["alerts"].as_array().unwrap())
            .filter(|alert| alert["labels"]["host"] == host && alert["labels"]["alertname"] == detector);
        of.map(|alert| alert["status"].as_str().unwrap().to_owned()).collect()
    };
    let both_hear = |detector: &'static str, open: bool| {
        let hubs = [&one.hub, &two.hub];
        let has = |hub: &Hub| hub.snapshot().alerts.open().any(|alert| &*alert.key.detector == detector);
        hubs.into_iter().all(|hub| has(hub) == open)
    };
    until("a notification comes", || !told("pi1", "hung").is_empty()).await;
    assert!(both_hear("hung", true));
    their_turn_is_over().await;
    assert_eq!(told("pi1", "hung"), ["firing"]);
    // Its end is one notification too, whichever controller saw it first.
    std::fs::remove_file(&bad).unwrap();
    until("both controllers know the end", || both_hear("hung", false)).await;
    until("the end comes", || told("pi1", "hung").len() > 1).await;
    // An alert of the controllers' own: each sees the silence by itself.
    std::fs::write(&quiet, "").unwrap();
    until("both controllers miss the host", || both_hear("host_stale", true)).await;
    until("that is told", || !told("pi2", "host_stale").is_empty()).await;
    their_turn_is_over().await;
    assert_eq!(told("pi1", "hung"), ["firing", "resolved"]);
    assert_eq!(told("pi2", "host_stale"), ["firing"]);
    std::fs::remove_file(&quiet).unwrap();
    until("both controllers hear the host again", || both_hear("host_stale", false)).await;
    until("that is told too", || told("pi2", "host_stale").len() > 1).await;
    their_turn_is_over().await;
    assert_eq!(told("pi1", "hung"), ["firing", "resolved"]);
    assert_eq!(told("pi2", "host_stale"), ["firing", "resolved"]);
    one.kill().await;
    two.kill().await;
    fleet.shutdown().await;
}
