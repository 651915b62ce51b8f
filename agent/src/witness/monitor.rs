//! The monitor's loop: poll, judge, tell, stop the service when it does harm. Only SIGINT and SIGTERM end it; what
//! goes wrong on the way is told once and tried again.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::alert::Alert;
use super::detectors::Evaluation;
use super::episode::{Change, Episodes, StopOutcome};
use super::reader::{FirstLook, Look, Reader, Start};
use super::rehearsal;
use super::thresholds::Thresholds;
use crate::config::types::Config;
use crate::error::in_words;
use crate::event::Event;
use crate::process::signals::{SignalInput, Signals};
use crate::process::wait;
use crate::store::atomic;
use crate::store::event_log::EventLog;
use crate::store::layout::Layout;
use crate::store::presence::Presence;

/// How far a monitor's first poll looks back: the newest 20 000 events and more.
pub const FIRST_LOOK: FirstLook = FirstLook { events: 4 << 20, samples: 512 * 1024 };

/// What the loop does to the world, and what it asks of it.
pub struct Edge<'a> {
    /// Reads the configuration again; the text of what is wrong with it otherwise.
    pub load: &'a dyn Fn() -> Result<Config, String>,
    /// Stops the service of a configuration.
    pub stop: &'a dyn Fn(&Config) -> StopOutcome,
    /// Tells that an alert begins or ends. A closed stdout must not end the supervision.
    pub tell: &'a dyn Fn(&Change),
    /// Tells what is in the monitor's own way.
    pub warn: &'a dyn Fn(&str),
}

/// Watches until a signal; `interval` is the time between two polls.
///
/// # Errors
/// When signals cannot be taken or waited for.
pub fn watch(config: Config, interval: Duration, edge: &Edge<'_>) -> io::Result<()> {
    let signals = Signals::block(&[SignalInput::Term, SignalInput::Int])?;
    let mut monitor = Monitor::new(config, edge);
    monitor.start(interval);
    loop {
        monitor.poll();
        let deadline = Instant::now() + interval;
        wait::wait_any(&[signals.as_fd()], Some(deadline))?;
        if signals.next().is_some() {
            return Ok(());
        }
    }
}

/// Polls once without telling, writing or stopping anything.
///
/// # Errors
/// When a file of the log dir cannot be read.
pub fn look_once(config: &Config, now: Timestamp) -> io::Result<Evaluation> {
    let mut reader = Reader::new(Layout::new(&config.runtime.log_dir), FIRST_LOOK, Start::End);
    reader.poll(&look_of(config), |_| {})?;
    Ok(rehearsal::judge(reader.snapshot(), &Thresholds::of(config), now))
}

/// Returns what a reader looks for under a configuration.
pub fn look_of(config: &Config) -> Look {
    Look {
        auth_patterns: config.monitor.auth_fail_patterns.clone(),
        growth_window_s: config.monitor.host_health.disk.growth_window_s,
        disks: vec![config.runtime.log_dir.clone(), config.runtime.work_dir.clone()],
    }
}

struct Monitor<'a> {
    edge: &'a Edge<'a>,
    config: Config,
    log: EventLog,
    reader: Reader,
    episodes: Episodes,
    presence: Option<Presence>,
    /// What was warned about and has not gone away.
    warned: BTreeMap<&'static str, String>,
    /// What each detector could not judge.
    blind: BTreeMap<&'static str, String>,
}

impl<'a> Monitor<'a> {
    fn new(config: Config, edge: &'a Edge<'a>) -> Monitor<'a> {
        let layout = Layout::new(&config.runtime.log_dir);
        Monitor {
            edge,
            config,
            log: EventLog::new(layout.clone()),
            reader: Reader::new(layout, FIRST_LOOK, Start::End),
            episodes: Episodes::default(),
            presence: None,
            warned: BTreeMap::new(),
            blind: BTreeMap::new(),
        }
    }

    fn start(&mut self, interval: Duration) {
        let root = self.log.layout().root().to_owned();
        let made = atomic::make_folder(&root)
            .map_err(|error| format!("making {}: {}", root.display(), in_words(&error)));
        self.warn_of("log dir", made.err());
        self.log.append(&Event::MonitorStarted {
            host: None,
            interval_s: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX),
            log_dir: root.to_string_lossy().into_owned(),
            mode: "anomaly-only".into(),
        });
    }

    fn poll(&mut self) {
        self.reload();
        self.announce();
        let look = look_of(&self.config);
        let read =
            self.reader.poll(&look, |_| {}).map_err(|error| format!("reading the log: {}", in_words(&error)));
        self.warn_of("log", read.err());
        let now = Timestamp::now();
        let evaluation = rehearsal::judge(self.reader.snapshot(), &Thresholds::of(&self.config), now);
        self.tell_blind(&evaluation);
        for change in self.episodes.observe(&evaluation, now) {
            (self.edge.tell)(&change);
            if let Some(event) = event_of(&change) {
                self.log.append(&event);
            }
        }
        self.stop_service();
    }

    fn reload(&mut self) {
        let loaded = (self.edge.load)();
        let failed = loaded.as_ref().err().cloned();
        if let Ok(config) = loaded {
            if config.runtime.log_dir != self.config.runtime.log_dir {
                let layout = Layout::new(&config.runtime.log_dir);
                self.log = EventLog::new(layout.clone());
                self.reader = Reader::new(layout, FIRST_LOOK, Start::End);
                self.presence = None;
            }
            self.config = config;
        }
        self.warn_of("configuration", failed);
    }

    fn announce(&mut self) {
        let path = self.log.layout().monitor_lock();
        if self.presence.as_ref().is_none_or(|presence| !presence.stands(&path)) {
            // Without a log dir there is nothing to announce in; the next poll tries again.
            self.presence = Presence::announce(&path).ok();
        }
    }

    fn tell_blind(&mut self, evaluation: &Evaluation) {
        let blind: BTreeMap<_, _> =
            evaluation.blind.iter().map(|(detector, blind)| (*detector, blind.to_string())).collect();
        for (detector, error) in &blind {
            if self.blind.get(detector) != Some(error) {
                let (detector, error) = ((*detector).to_owned(), error.clone());
                (self.edge.warn)(&format!("{detector} cannot judge: {error}"));
                self.log.append(&Event::DetectorError { detector, error });
            }
        }
        self.blind = blind;
    }

    fn stop_service(&mut self) {
        for detector in self.episodes.due_stops(&self.config.monitor.auto_stop_on) {
            let outcome = (self.edge.stop)(&self.config);
            self.episodes.stop_attempted(&detector, &outcome);
            match outcome {
                StopOutcome::Stopped => self.log.append(&Event::MonitorAutoStopTriggered { detector }),
                StopOutcome::Failed(error) => {
                    (self.edge.warn)(&format!("{detector}: the service was not stopped: {error}"));
                    self.log.append(&Event::MonitorAutoStopFailed { detector, error });
                }
                StopOutcome::Draining => {}
            }
        }
    }

    /// Warns once of a thing, and again only when it changes or comes back.
    fn warn_of(&mut self, thing: &'static str, problem: Option<String>) {
        match problem {
            None => {
                self.warned.remove(thing);
            }
            Some(problem) => {
                if self.warned.get(thing) != Some(&problem) {
                    (self.edge.warn)(&problem);
                    self.warned.insert(thing, problem);
                }
            }
        }
    }
}

fn event_of(change: &Change) -> Option<Event> {
    match change {
        Change::Begun { alert: Alert { detector, severity, message, auto_action, .. }, .. } => {
            Some(Event::MonitorAlertEmitted {
                detector: detector.clone(),
                severity: severity.as_str().to_owned(),
                message: message.clone(),
                auto_action: auto_action.as_str().to_owned(),
            })
        }
        Change::Sharpened { .. } => None,
        Change::Resolved { detector, identity, firing_for_s } => Some(Event::MonitorAlertResolved {
            detector: detector.clone(),
            identity: identity.clone(),
            firing_for_s: *firing_for_s,
        }),
    }
}
