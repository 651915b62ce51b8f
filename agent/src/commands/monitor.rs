//! `agent-runner monitor`.

use std::cell::Cell;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::json;

use crate::config::types::Config;
use crate::error::{Error, Exit, in_words};
use crate::http::server;
use crate::kinds::AskedKinds;
use crate::output::printed;
use crate::output::{self, Format};
use crate::service::systemctl::{Manager, SystemctlError};
use crate::service::{self, Asked, Mode as ServiceMode, Project, Stopping, UnitState};
use crate::store::atomic;
use crate::store::follow::{Cursor, Follower};
use crate::store::layout::Layout;
use crate::store::record::Record;
use crate::verb::observed::{self, FileName};
use crate::verb::{Ctx, relayed};
use crate::witness::detectors::DETECTORS;
use crate::witness::episode::{Change, StopOutcome};
use crate::witness::monitor::{self, Edge};
use crate::witness::reader::Start;
use crate::witness::relay::command::{Relayed, Remote};
use crate::witness::thresholds::Thresholds;
use crate::witness::{alert_line, narrate, streaming, tail};

/// Seconds between two polls without `--interval`.
const INTERVAL_S: u64 = 30;
/// How long a reader of alerts may take nothing before they are left out for it.
const READER_PATIENCE: Duration = Duration::from_secs(2);
/// The port of `--mode http`.
const PORT: u16 = 8765;

/// Watch for trouble and stop the service when it does harm
#[derive(Debug, Args)]
pub struct MonitorArgs {
    /// What to print
    #[arg(long, value_enum, default_value = "anomaly")]
    mode: Mode,
    /// Anomaly only: seconds between two polls [default: 30]; not with --host, which hears of an alert when it begins
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400), conflicts_with_all = ["host", "once", "list"])]
    interval: Option<u64>,
    /// Poll once, print the alerts that hold, change nothing
    #[arg(long)]
    once: bool,
    /// List the detectors and their thresholds
    #[arg(long, conflicts_with = "once")]
    list: bool,
    /// Stream only: first repeat the events behind this place
    #[arg(long, value_name = "FILE:OFFSET", value_parser = cursor_argument, conflicts_with = "host")]
    cursor: Option<Cursor>,
    /// Http only: the port on 127.0.0.1; 0 takes a free one [default: 8765]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Look at another host over ssh: its detectors, its log; nothing is stopped from here. What is written there while
    /// the link is down is told afterwards; an alert that begins and ends meanwhile only by the log there
    #[arg(long, value_name = "ALIAS")]
    host: Option<String>,
    /// With --host and --mode events: the kinds, separated by commas; all of them without it
    #[arg(long, value_name = "KIND,..", value_delimiter = ',')]
    kind: Vec<String>,
    /// With --host: the configuration over there
    #[arg(long, value_name = "PATH")]
    remote_config: Option<String>,
}

/// `--mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Alerts, and auto-stop
    Anomaly,
    /// Every event as a line for people, from the first one on
    Narrate,
    /// New events as they are written
    Events,
    /// What a fleet controller follows: events, state, alerts and a heartbeat; reads only
    Stream,
    /// A page for a browser on this machine, with its state as JSON under /api/state; reads only
    Http,
}

/// Runs the verb.
///
/// # Errors
/// When the configuration cannot be loaded, or the log cannot be read or printed.
pub fn run(ctx: &Ctx, args: MonitorArgs) -> Result<Exit, Error> {
    if args.cursor.is_some() && args.mode != Mode::Stream {
        return Err(Error::new(Exit::Usage, "--cursor goes with --mode stream only"));
    }
    if (args.once || args.list) && args.mode != Mode::Anomaly {
        return Err(Error::new(Exit::Usage, "--once and --list go with --mode anomaly only"));
    }
    if args.port.is_some() && args.mode != Mode::Http {
        return Err(Error::new(Exit::Usage, "--port goes with --mode http only"));
    }
    if args.interval.is_some() && args.mode != Mode::Anomaly {
        return Err(Error::new(Exit::Usage, "--interval goes with --mode anomaly only"));
    }
    if !args.kind.is_empty() && (args.host.is_none() || args.mode != Mode::Events) {
        return Err(Error::failed("--kind goes with --host and --mode events only")
            .hinted("`agent-runner events --kind` asks for kinds of the log here"));
    }
    if let Some(host) = args.host {
        let remote = Remote { host, config: args.remote_config };
        if args.once || args.list {
            return relayed::once(ctx, &remote, &["monitor", if args.list { "--list" } else { "--once" }]);
        }
        let relayed = match args.mode {
            Mode::Anomaly => Relayed::Anomaly,
            Mode::Narrate => Relayed::Narrate(relayed::all_kinds()),
            Mode::Events if args.kind.is_empty() => Relayed::Events(relayed::all_kinds()),
            Mode::Events => {
                // A newer program over there may know them.
                AskedKinds::new(&args.kind).complaints().for_each(|complaint| output::note(&complaint));
                Relayed::Events(args.kind)
            }
            Mode::Stream => Relayed::Stream,
            // ssh opens it itself; found taken here it is told better, and which one is free is known here only.
            Mode::Http => Relayed::Http(listen(args.port.unwrap_or(PORT)).and_then(port_of)?),
        };
        let config = observed::load(ctx, FileName::Any)?;
        return relayed::relay(ctx, &config, &remote, relayed);
    }
    if args.remote_config.is_some() {
        return Err(Error::failed("--remote-config goes with --host only"));
    }
    let name = match args.mode {
        Mode::Anomaly | Mode::Narrate => FileName::Fixed,
        Mode::Events | Mode::Stream | Mode::Http => FileName::Any,
    };
    let config = observed::load(ctx, name)?;
    match args.mode {
        Mode::Anomaly if args.list => list(ctx, &config),
        Mode::Anomaly if args.once => once(ctx, &config),
        Mode::Anomaly => anomaly(ctx, config, Duration::from_secs(args.interval.unwrap_or(INTERVAL_S))),
        Mode::Narrate => narrate(&config),
        Mode::Events => events(&config),
        Mode::Stream => stream(ctx, config, args.cursor),
        Mode::Http => http(ctx, config, args.port.unwrap_or(PORT)),
    }
}

fn anomaly(ctx: &Ctx, config: Config, interval: Duration) -> Result<Exit, Error> {
    let home = ctx.home();
    let telling = Telling::default();
    let edge = Edge {
        load: &|| observed::reload(&ctx.config, home.clone()),
        stop: &|config| stop(ctx, config),
        tell: &|change| telling.tell(ctx.format, change),
        warn: &output::note,
    };
    monitor::watch(config, interval, &edge).map_err(|error| Error::failed("watching").caused_by(error))?;
    Ok(Exit::Ok)
}

fn once(ctx: &Ctx, config: &Config) -> Result<Exit, Error> {
    let evaluation = monitor::look_once(config, Timestamp::now()).map_err(unreadable)?;
    for (detector, blind) in &evaluation.blind {
        output::note(&format!("{detector} cannot judge: {blind}"));
    }
    let lines: String =
        evaluation.alerts.iter().map(|(_, alert)| alert_line::text(ctx.format, alert)).collect();
    printed(output::print(&lines))?;
    Ok(Exit::Ok)
}

fn list(ctx: &Ctx, config: &Config) -> Result<Exit, Error> {
    let thresholds = Thresholds::of(config);
    let may_stop = |name: &str| config.monitor.auto_stop_on.iter().any(|listed| listed == name);
    let result = match ctx.format {
        Format::Json => {
            let rows = DETECTORS.iter().map(|detector| {
                json!({
                    "detector": detector.name,
                    "severity": detector.severity,
                    "auto_action": detector.action,
                    "auto_stop": may_stop(detector.name),
                    "identity": detector.identity,
                    "fires": detector.fires,
                    "reads": detector.reads,
                    "thresholds": (detector.thresholds)(&thresholds),
                })
            });
            output::print_json(&json!({"schema_version": 1, "detectors": rows.collect::<Vec<_>>()}))
        }
        Format::Pretty => {
            let mut text = String::new();
            for detector in DETECTORS {
                let stops = if may_stop(detector.name) { ", stops the service" } else { "" };
                text.push_str(&format!(
                    "{} ({}{stops})\n  fires when  {}\n  thresholds  {}\n  reads       {}\n",
                    detector.name,
                    detector.severity.as_str(),
                    detector.fires,
                    (detector.thresholds)(&thresholds),
                    detector.reads,
                ));
            }
            output::print(&text)
        }
    };
    printed(result)?;
    Ok(Exit::Ok)
}

fn narrate(config: &Config) -> Result<Exit, Error> {
    let layout = Layout::new(&config.runtime.log_dir);
    atomic::make_folder(layout.root())
        .map_err(|error| Error::failed(format!("making {}", layout.root().display())).caused_by(error))?;
    ended(tail::follow(&layout, Follower::from_start(), |line, outlet| {
        if let Some(record) = Record::parse(&line.bytes) {
            outlet.line(narrate::line(&record).as_bytes());
        }
    }))
}

fn events(config: &Config) -> Result<Exit, Error> {
    let layout = Layout::new(&config.runtime.log_dir);
    let follower = Follower::from_end(&layout.events_files());
    ended(tail::follow(&layout, follower, |line, outlet| {
        if Record::parse(&line.bytes).is_some() {
            outlet.line(&line.bytes);
        }
    }))
}

fn stream(ctx: &Ctx, config: Config, cursor: Option<Cursor>) -> Result<Exit, Error> {
    let start = cursor.map_or(Start::End, Start::Cursor);
    let home = ctx.home();
    ended(streaming::speak(config, start, || observed::reload(&ctx.config, home.clone()).ok()))
}

fn http(ctx: &Ctx, config: Config, port: u16) -> Result<Exit, Error> {
    let listener = listen(port)?;
    let place = listener.local_addr().map_err(unreadable)?;
    printed(output::print(&format!("http://{place}/\n")))?;
    let home = ctx.home();
    server::serve(&listener, config, || observed::reload(&ctx.config, home.clone()).ok())
        .map_err(|error| Error::failed("serving the page").caused_by(error))?;
    Ok(Exit::Ok)
}

/// Opens the page's port.
///
/// # Errors
/// When it is taken or not permitted.
fn listen(port: u16) -> Result<TcpListener, Error> {
    server::listen(port).map_err(|error| {
        Error::failed(format!("port {port} of 127.0.0.1 cannot be opened"))
            .caused_by(error)
            .hinted("--port names another one")
    })
}

fn port_of(listener: TcpListener) -> Result<u16, Error> {
    listener
        .local_addr()
        .map(|place| place.port())
        .map_err(|error| Error::failed("opening a port").caused_by(error))
}

fn ended(result: io::Result<()>) -> Result<Exit, Error> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unreadable(error)),
        Ok(()) | Err(_) => Ok(Exit::Ok),
    }
}

/// Stops the service and tells what really became of it.
fn stop(ctx: &Ctx, config: &Config) -> StopOutcome {
    let project = Project::of(config, ctx.account());
    let failed =
        |why: String, mode: ServiceMode| StopOutcome::Failed(format!("{why} (mode {})", mode.as_str()));
    match service::stop(&project) {
        Err(error) => failed(in_words(&error), service::status(&project).mode),
        Ok(stopping) if !stopping.status.active => StopOutcome::Stopped,
        Ok(Stopping { asked, status, .. }) => match drains(&project, asked, status.mode) {
            Ok(true) => StopOutcome::Draining,
            Ok(false) => failed("still active after the stop".to_owned(), status.mode),
            Err(error) => failed(in_words(&error), status.mode),
        },
    }
}

/// Returns whether a service that is still there after a stop drains its round: a Loop that was signalled does, and so
/// does a unit that its manager says deactivates. A unit that is plainly active after its manager was asked does not.
fn drains(project: &Project, asked: Asked, mode: ServiceMode) -> Result<bool, SystemctlError> {
    let manager = match (asked, mode) {
        (Asked::Loop, _) | (_, ServiceMode::PidFile | ServiceMode::None) => return Ok(true),
        (Asked::Manager | Asked::Nobody, ServiceMode::SystemdUser) => Manager::user(&project.account),
        (Asked::Manager | Asked::Nobody, ServiceMode::SystemdSystem) => Manager::System,
    };
    Ok(manager.show(&project.serve_unit())?.state == Some(UnitState::Deactivating))
}

/// Printing alerts without being held up: whoever stops reading must neither end the supervision nor delay it.
#[derive(Debug, Default)]
struct Telling {
    /// Whether the reader took nothing the last time.
    stalled: Cell<bool>,
}

impl Telling {
    fn tell(&self, format: Format, change: &Change) {
        let alert = match change {
            Change::Begun { alert, .. } => alert.clone(),
            Change::Sharpened { .. } => return,
            Change::Resolved { detector, identity, firing_for_s } => {
                alert_line::resolved(detector, identity, *firing_for_s)
            }
        };
        let patience = if self.stalled.get() { Duration::ZERO } else { READER_PATIENCE };
        let text = alert_line::text(format, &alert);
        let printed = output::print_to_reader(text.as_bytes(), patience);
        let stalled = printed.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut);
        if stalled && !self.stalled.get() {
            output::note(
                "nobody reads stdout; alerts are left out there until somebody does, the log has them",
            );
        }
        self.stalled.set(stalled);
    }
}

fn cursor_argument(text: &str) -> Result<Cursor, String> {
    let (file, offset) = text.rsplit_once(':').ok_or("not FILE:OFFSET")?;
    let offset = offset.parse().map_err(|_| "the offset is not a number".to_owned())?;
    if file.is_empty() || file.contains('/') {
        return Err("the file is a name below the log dir".to_owned());
    }
    Ok(Cursor::at(file, offset))
}

fn unreadable(error: io::Error) -> Error {
    Error::failed("following the log").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::INTERVAL_S;
    use crate::serve::breakers::REFUSED_DELAY;

    #[test]
    fn two_polls_fit_into_the_delay_after_three_refused_logins() {
        assert!(2 * INTERVAL_S <= REFUSED_DELAY.as_secs());
    }
}
