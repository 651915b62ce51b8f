//! Two controllers watch one fleet and send to a cluster of two Alertmanagers: one notification comes out.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use agent_runner_fleet::sinks::Place;

use super::support::{Controller, Receiver, Recorded, until};

const PROGRAM: &str = "/usr/bin/prometheus-alertmanager";

/// One member of the cluster, killed when dropped.
struct Member(Child);

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
        let reason = format!("{PROGRAM} is not installed (Debian's prometheus-alertmanager)");
        eprintln!("SKIPPED: two_controllers_and_two_alertmanagers_make_one_notification: {reason}");
        if let Some(path) = std::env::var_os("AGENT_RUNNER_TESTS_SKIPPED") {
            use std::io::Write;
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            let _ = writeln!(file.unwrap(), "SKIPPED: alertmanager cluster: {reason}");
        }
        return;
    }
    let script = "hello; alert hung; state\nexec 3<&0; cat <&3 >/dev/null & w=$!\nwhile kill -0 $w 2>/dev/null; do beat; sleep 1; done";
    let fleet = Recorded::start(vec![("pi1".into(), script.into())]).await;
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
    let one = Controller::start(&fleet, &dir.join("one.db"), places());
    let two = Controller::start(&fleet, &dir.join("two.db"), places());
    until("a notification comes", || !receiver.got.lock().unwrap().is_empty()).await;
    // The other member would have sent its own by now: it waits its turn, five seconds, and then looks.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(15);
    until("the time of the second member is over", || tokio::time::Instant::now() > deadline).await;
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(bodies[0]["alerts"][0]["labels"]["host"], "pi1");
    assert_eq!(bodies[0]["alerts"][0]["labels"]["alertname"], "hung");
    one.kill().await;
    two.kill().await;
    fleet.shutdown().await;
}
