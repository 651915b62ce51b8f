//! A fleet that says what a test wants, watched and served by the real watch and the real dashboard.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::thread::JoinHandle;

use agent_runner::store::follow::Cursor;
use agent_runner::store::time::stamp;
use agent_runner::witness::alert::{Alert, AutoAction, Severity};
use agent_runner::witness::stream::{Hello, State, StreamLine};
use agent_runner_fleet::fleetview::beginning::Beginning;
use agent_runner_fleet::fleetview::fold::Input;
use agent_runner_fleet::fleetview::state::{Reach, StreamId};
use agent_runner_fleet::history::Store;
use agent_runner_fleet::history::journal::Journal;
use agent_runner_fleet::ssh::{Client, ClientOptions};
use agent_runner_fleet::watcher::watch::{Setup, Watcher};
use agent_runner_fleet::web::server::{Options, bind, serve};
use agent_runner_inventory::Monitor;
use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

/// What acting needs.
const TOKEN: &str = "the-token-of-an-invented-fleet";
/// The project of every host.
const PROJECT: &str = "research";

/// How a host says that its service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// It does not run.
    Stopped,
    /// It runs, between two rounds.
    Idle,
    /// It runs a round.
    Running,
}

/// A fleet in a thread of its own; dropped, it ends.
#[derive(Debug)]
pub struct Invented {
    address: SocketAddr,
    names: Vec<String>,
    inputs: mpsc::Sender<Input>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _state: TempDir,
}

impl Invented {
    /// Starts a fleet of which nothing is known yet.
    ///
    /// # Errors
    /// Where no port or no file can be had.
    pub fn start(hosts: usize, address: SocketAddr) -> anyhow::Result<Self> {
        let state = tempfile::Builder::new().prefix("agent-runner-invented-").tempdir()?;
        let journal = Journal::start(Store::open(&state.path().join("history.db"))?)?;
        let names: Vec<String> = (1..=hosts).map(|number| format!("pi{number:04}.lan")).collect();
        let streams = names.iter().map(|name| (id(name), None)).collect();
        let setup = Setup {
            client: Client::new(ClientOptions::default()),
            watched: Vec::new(),
            policy: Monitor::default(),
            beginning: Beginning { name: "attic".into(), streams, ..Beginning::default() },
            journal: Some((journal, Vec::new())),
        };
        let runtime = Runtime::new()?;
        let watcher = runtime.block_on(async { Watcher::new(setup) });
        let listener = runtime.block_on(bind(address))?;
        let address = listener.local_addr()?;
        let (inputs, hub) = (watcher.inputs(), watcher.hub());
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("invented fleet".into()).spawn(move || {
            runtime.block_on(async {
                let options = Options {
                    names: Vec::new(),
                    token: TOKEN.to_owned().into(),
                    by: "tester (dashboard)".into(),
                };
                let served = tokio::spawn(serve(listener, hub, options));
                let until = async {
                    // Dropped is told, too.
                    let _ = ended.await;
                };
                watcher.run(|_, _| ControlFlow::Continue(()), until).await;
                served.abort();
                // Its sockets close when it is gone.
                let _ = served.await;
            });
        })?;
        Ok(Self { address, names, inputs, end: Some(end), thread: Some(thread), _state: state })
    }

    /// Starts a fleet on a free port of loopback, and lets every host say what hosts say.
    ///
    /// # Errors
    /// As [`Invented::start`].
    pub fn lively(hosts: usize) -> anyhow::Result<Self> {
        let fleet = Self::start(hosts, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        for place in 0..hosts {
            fleet.begin(place)?;
        }
        Ok(fleet)
    }

    /// Where it is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What acting needs.
    #[must_use]
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// A host's name.
    #[must_use]
    pub fn name(&self, place: usize) -> &str {
        self.names.get(place).map_or("", String::as_str)
    }

    /// Takes an input.
    ///
    /// # Errors
    /// Where the fleet has ended.
    pub fn take(&self, input: Input) -> anyhow::Result<()> {
        self.inputs.blocking_send(input).ok().context("the fleet has ended")
    }

    /// A host says a line.
    ///
    /// # Errors
    /// Where the fleet has ended.
    pub fn says(&self, place: usize, line: StreamLine) -> anyhow::Result<()> {
        self.take(Input::Line(id(self.name(place)), Box::new(line)))
    }

    /// A host connects and says who it is.
    ///
    /// # Errors
    /// Where the fleet has ended.
    pub fn connects(&self, place: usize) -> anyhow::Result<()> {
        self.take(Input::Connected(id(self.name(place))))?;
        let hello = Hello {
            protocol: 1,
            version: "0.1.0".into(),
            project: PROJECT.into(),
            boot_id: "b".into(),
            at: stamp(Timestamp::now()),
            monitor_active: true,
            auto_stop_on: Vec::new(),
            cursor: None,
        };
        self.says(place, StreamLine::Hello(hello))
    }

    /// A host says whether its service runs, and a round of it.
    ///
    /// # Errors
    /// Where the fleet has ended.
    pub fn state(&self, place: usize, service: Service) -> anyhow::Result<()> {
        let spread = i64::try_from(place * 7919 % 97)?;
        let state = State {
            active: service != Service::Stopped,
            round_num: Some(100),
            phase: Some("main".into()),
            running: service == Service::Running,
            since: Some(stamp(before(spread * 5))),
            last_exit_code: Some(0),
            last_duration_s: Some(60.0 + f64::from(u8::try_from(spread)?) * 7.3),
            disk_used_pct: Some(20.0 + f64::from(u8::try_from(spread)?) * 0.6),
            throttled_until: None,
            mem_available_mb: Some(300 + spread * 11),
            monitor_active: Some(true),
            config_sha256: None,
            cannot_judge: Vec::new(),
        };
        self.says(place, StreamLine::State(state))
    }

    /// A host names an alert.
    ///
    /// # Errors
    /// Where the fleet has ended.
    pub fn alert(
        &self,
        place: usize,
        (severity, detector): (Severity, &str),
        message: &str,
    ) -> anyhow::Result<()> {
        let alert = Alert {
            severity,
            detector: detector.into(),
            message: message.into(),
            context: Map::new(),
            ts: stamp(Timestamp::now()),
            auto_action: AutoAction::None,
        };
        self.says(place, StreamLine::Alert { identity: detector.into(), alert })
    }

    /// A host tells of an event, `seconds` ago.
    ///
    /// # Errors
    /// Where the fleet has ended.
    pub fn event(&self, place: usize, seconds: i64, mut event: Value) -> anyhow::Result<()> {
        if let Some(object) = event.as_object_mut() {
            object.insert("ts".into(), stamp(before(seconds)).into());
        }
        let offset = u64::try_from(Timestamp::now().as_microsecond())?;
        let cursor = Cursor::at("events-2026-11.jsonl", offset);
        self.says(place, StreamLine::Event { cursor, event })
    }

    /// A host's connection is lost.
    ///
    /// # Errors
    /// Where the fleet has ended.
    pub fn lost(&self, place: usize, reason: &str) -> anyhow::Result<()> {
        self.take(Input::Lost(id(self.name(place)), reason.into(), Reach::Unreached))
    }

    /// Ends the fleet and everything that serves it.
    pub fn end(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// A host begins as its place in the fleet has it: most of them work.
    fn begin(&self, place: usize) -> anyhow::Result<()> {
        let kind =
            if self.names.len() <= 3 { [0, 3, 7].get(place).copied().unwrap_or(0) } else { place % 40 };
        if kind == 33 {
            return Ok(());
        }
        self.connects(place)?;
        let count = if self.names.len() > 100 { 6 } else { 40 };
        for number in 0..count {
            self.round(place, number, i64::try_from(count - number)? * 1300)?;
        }
        let service = match kind {
            3 | 17 => Service::Stopped,
            _ if kind % 2 == 0 => Service::Running,
            _ => Service::Idle,
        };
        self.state(place, service)?;
        match kind {
            3 => {
                self.alert(place, (Severity::Critical, "oauth_fail"), "3/10 of the last rounds failed auth")?;
                self.event(
                    place,
                    0,
                    json!({"event": "monitor_auto_stop_triggered", "detector": "oauth_fail"}),
                )
            }
            7 => {
                self.alert(place, (Severity::Warning, "disk_warning"), "the disk of the log dir is 87 % full")
            }
            11 => self.lost(place, "connection refused"),
            _ => Ok(()),
        }
    }

    fn round(&self, place: usize, number: usize, ago: i64) -> anyhow::Result<()> {
        let dice = (((place * 1031 + number) * 2_654_435_761) >> 7) % 1000;
        let took = 120 + i64::try_from(dice)? * 4 / 5;
        let cause = match dice % 23 {
            0 => "timeout",
            1 => "error",
            _ => "clean",
        };
        let of = |mut event: Value| {
            if let Some(object) = event.as_object_mut() {
                object.insert("round_num".into(), (number + 60).into());
            }
            event
        };
        self.event(place, ago, of(json!({"event": "round_start", "phase": "main"})))?;
        let cost = f64::from(u16::try_from(dice)?) / 2500.0;
        self.event(place, ago - took, of(json!({"event": "agent_usage_recorded", "cost_usd": cost})))?;
        let exit = json!({"event": "agent_exit", "exit_code": i32::from(cause != "clean"), "exit_cause": cause, "duration_s": took});
        self.event(place, ago - took, of(exit))
    }
}

impl Drop for Invented {
    fn drop(&mut self) {
        self.end();
    }
}

fn id(host: &str) -> StreamId {
    StreamId { host: host.into(), project: PROJECT.into() }
}

fn before(seconds: i64) -> Timestamp {
    let now = Timestamp::now();
    now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(now)
}
