//! Hosts with a recorded agent, a watch over them, and a receiver of webhooks.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_runner_fleet::fleetview::beginning::Beginning;
use agent_runner_fleet::fleetview::fold::Input;
use agent_runner_fleet::fleetview::life::Alerts;
use agent_runner_fleet::fleetview::state::{Fleet, HostFacts, StreamId};
use agent_runner_fleet::fleetview::told::Told;
use agent_runner_fleet::history::Store;
use agent_runner_fleet::history::journal::Journal;
use agent_runner_fleet::sinks::{Http, Place, work};
use agent_runner_fleet::ssh::server::{Server, ServerOptions, generate_key};
use agent_runner_fleet::ssh::{Client, ClientOptions, IdentityAgent, IdentityFile, Settings};
use agent_runner_fleet::watcher::hub::Hub;
use agent_runner_fleet::watcher::streams::Watched;
use agent_runner_fleet::watcher::watch::{Setup, Watcher};
use agent_runner_inventory::{Monitor, Share};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Generous: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// What an agent says: `$c` is the offset it is asked to go on behind, `emit N` prints event N, `late N` with
/// the time it is printed at.
pub(crate) const PRELUDE: &str = r#"c=0
for word; do case $word in events-2026-11.jsonl:*) c=${word#*:};; esac; done
at() { date -u +%Y-%m-%dT%H:%M:%S.000Z; }
hello() { printf '{"type":"hello","protocol":1,"version":"0.1.0","project":"p","boot_id":"b","at":"%s","monitor_active":true,"auto_stop_on":[],"cursor":{"file":"events-2026-11.jsonl","offset":%s}}\n' "$(at)" "$c"; }
state() { printf '{"type":"state","active":true,"round_num":1,"phase":null,"running":false,"since":null,"last_exit_code":0,"last_duration_s":1.0,"disk_used_pct":10.0,"throttled_until":null}\n'; }
emit() { [ "$1" -le "$c" ] || printf '{"type":"event","cursor":{"file":"events-2026-11.jsonl","offset":%s},"event":{"ts":"2026-11-01T00:00:00.000Z","event":"round_end","round_num":%s}}\n' "$1" "$1"; }
alert() { printf '{"type":"alert","identity":"%s","alert":{"severity":"critical","detector":"%s","message":"m","context":{},"ts":"2026-11-01T00:00:00.000Z","auto_action":"none"}}\n' "$1" "$1"; }
resolved() { printf '{"type":"resolved","detector":"%s","identity":"%s","firing_for_s":1}\n' "$1" "$1"; }
late() { printf '{"type":"event","cursor":{"file":"events-2026-11.jsonl","offset":%s},"event":{"ts":"%s","event":"round_end","round_num":%s}}\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)" "$1"; }
beat() { printf '{"type":"heartbeat","at":"%s"}\n' "$(at)"; }
"#;

/// A fleet of hosts with recorded agents.
pub(crate) struct Recorded {
    pub(crate) root: TempDir,
    servers: Vec<Server>,
    watched: Vec<Watched>,
}

impl Recorded {
    /// Starts a host for each script.
    pub(crate) async fn start(scripts: Vec<(String, String)>) -> Recorded {
        let root = TempDir::new().unwrap();
        let authorized_key = generate_key(&root.path().join("id")).unwrap();
        let (mut servers, mut watched, mut known) = (Vec::new(), Vec::new(), String::new());
        for (name, script) in scripts {
            let home = root.path().join(&name);
            let bin = home.join(".local/bin");
            fs::create_dir_all(&bin).unwrap();
            let agent = bin.join("agent-runner");
            fs::write(&agent, format!("#!/bin/sh\n{PRELUDE}{script}\n")).unwrap();
            fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
            let options =
                ServerOptions { authorized_key: authorized_key.clone(), home, environment: Vec::new() };
            let server = Server::start(options).await.unwrap();
            known.push_str(&format!("{}\n", server.known_hosts_line()));
            let mut settings = Settings::new("127.0.0.1", "me");
            settings.name.clone_from(&name);
            settings.port = server.address().port();
            settings.identities = vec![IdentityFile::configured(root.path().join("id"))];
            settings.identity_agent = IdentityAgent::None;
            settings.user_known_hosts = vec![root.path().join("known_hosts")];
            settings.connect_timeout = PATIENCE;
            let id = StreamId { host: name.as_str().into(), project: "p".into() };
            watched.push(Watched { id, settings, work_dir: "~/p".into(), sudo: None });
            servers.push(server);
        }
        fs::write(root.path().join("known_hosts"), known).unwrap();
        Recorded { root, servers, watched }
    }

    /// Returns what a watch of this fleet is made of.
    pub(crate) fn setup(&self, stale_after_s: u64, journal: Option<(Journal, Vec<String>)>) -> Setup {
        let hosts = self.watched.iter().map(|one| (one.id.host.clone(), HostFacts::default()));
        Setup {
            client: Client::new(ClientOptions::default()),
            watched: self.watched.clone(),
            policy: Monitor {
                auto_stop: Vec::new(),
                brake: Share::Percent(25),
                stale_after_s,
                ..Monitor::default()
            },
            beginning: Beginning {
                name: "attic".into(),
                hosts: hosts.collect::<BTreeMap<_, _>>(),
                ..Beginning::default()
            },
            journal,
        }
    }

    pub(crate) async fn shutdown(self) {
        for server in self.servers {
            server.shutdown().await.unwrap();
        }
    }
}

/// A whole controller: watch, history, sinks. Dropping it without `stop` is a kill.
pub(crate) struct Controller {
    pub(crate) hub: Hub,
    tasks: Vec<JoinHandle<()>>,
}

impl Controller {
    /// Starts one with its history at `path`.
    pub(crate) fn start(fleet: &Recorded, path: &Path, places: Vec<Place>) -> Controller {
        Controller::impatient(fleet, path, places, 60)
    }

    /// As [`Controller::start`], with another silence that counts as stale.
    pub(crate) fn impatient(
        fleet: &Recorded,
        path: &Path,
        places: Vec<Place>,
        stale_after_s: u64,
    ) -> Controller {
        let store = Store::open(path).unwrap();
        let open = store.open_alerts().unwrap();
        let cursors = store.cursors().unwrap();
        let journal = Journal::start(store).unwrap();
        let names = places.iter().map(Place::name).collect();
        let mut setup = fleet.setup(stale_after_s, Some((journal.clone(), names)));
        setup.beginning.alerts = Alerts::restored(open);
        setup.beginning.streams = cursors.into_iter().map(|(id, cursor)| (id, Some(cursor))).collect();
        let watcher = Watcher::new(setup);
        let hub = watcher.hub();
        let http = Http::with_roots_of_this_machine();
        let mut tasks: Vec<JoinHandle<()>> = places
            .into_iter()
            .map(|place| {
                let way: (Hub, tokio::sync::mpsc::Sender<Input>) = (watcher.hub(), watcher.inputs());
                tokio::spawn(work(place, http.clone(), journal.clone(), way))
            })
            .collect();
        tasks.push(tokio::spawn(async move {
            watcher.run(|_, _| ControlFlow::Continue(()), std::future::pending()).await;
        }));
        Controller { hub, tasks }
    }

    /// Ends it between two instructions, as a kill does: nothing is said, nothing is written any more.
    pub(crate) async fn kill(self) {
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
    }
}

/// Collects what a watch tells until `done` says so.
pub(crate) async fn told_until(
    setup: Setup,
    mut done: impl FnMut(&Fleet, &[Told]) -> bool,
) -> (Fleet, Vec<Told>) {
    let all: Arc<Mutex<Vec<Told>>> = Arc::default();
    let seen = all.clone();
    let tell = move |fleet: &Fleet, told: &[Told]| {
        let mut seen = seen.lock().unwrap();
        seen.extend(told.iter().cloned());
        if done(fleet, &seen) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let fleet = Watcher::new(setup).run(tell, tokio::time::sleep(PATIENCE)).await;
    let all = all.lock().unwrap().clone();
    (fleet, all)
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "not within {} s: {what}", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns whether this process runs the named test and nothing else; if not, runs it so, and insists that it passes.
/// For tests that measure their process.
pub(crate) fn alone(test: &str) -> bool {
    const ALONE: &str = "AGENT_RUNNER_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// Returns a figure of this process in KiB, by its name in /proc/self/status: `VmRSS`, `VmHWM`.
pub(crate) fn memory_kib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// One request a receiver got: head and body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Answers every POST with `status`, at first 200, and keeps it.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    pub(crate) status: Arc<Mutex<&'static str>>,
    pub(crate) got: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(port: u16) -> Receiver {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got: Arc<Mutex<Vec<Request>>> = Arc::default();
        let status = Arc::new(Mutex::new("200 OK"));
        let (all, says) = (got.clone(), status.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, all.clone(), says.clone()));
            }
        });
        Receiver { port, status, got, task }
    }

    pub(crate) fn bodies(&self) -> Vec<serde_json::Value> {
        self.got.lock().unwrap().iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, all: Arc<Mutex<Vec<Request>>>, says: Arc<Mutex<&'static str>>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let Ok(count @ 1..) = stream.read(&mut chunk).await else { return };
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if body.len() < length.and_then(|length| length.trim().parse().ok()).unwrap_or(0) {
            continue;
        }
        all.lock().unwrap().push(Request { head, body: body.to_owned() });
        let head =
            format!("HTTP/1.1 {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", says.lock().unwrap());
        let _ = stream.write_all(head.as_bytes()).await;
        return;
    }
}
