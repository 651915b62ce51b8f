//! Progress over hosts: on a terminal one live line with counts and the outstanding hosts with their age, elsewhere
//! one plain line per host that ends.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use agent_runner::plain::{To, plain, shown};
use indicatif::{ProgressBar, ProgressStyle};

use super::print;
use super::recap::{HostResult, Status};

/// The outstanding hosts that the live line names.
const NAMED: usize = 3;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// A live line.
    Live,
    /// One line per host.
    Lines,
    /// One line per host and per step of it.
    Steps,
    /// Nothing: `--quiet`, or `--json` where the results are lines themselves.
    Nothing,
}

/// The progress of one run.
#[derive(Debug)]
pub struct Progress {
    show: Show,
    bar: ProgressBar,
    running: Mutex<BTreeMap<String, (Instant, String)>>,
}

impl Progress {
    /// Returns the progress of `verb` over `hosts` hosts.
    pub fn new(show: Show, verb: &str, hosts: usize) -> Progress {
        let bar = match show {
            Show::Live => ProgressBar::new(hosts as u64),
            Show::Lines | Show::Steps | Show::Nothing => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:20}] {pos}/{len} {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(verb.to_owned());
        bar.enable_steady_tick(Duration::from_millis(250));
        Progress { show, bar, running: Mutex::new(BTreeMap::new()) }
    }

    /// Tells that a host has started, or what it does now.
    pub fn step(&self, host: &str, what: &str) {
        let mut running = self.running();
        let since = running.get(host).map_or_else(Instant::now, |(since, _)| *since);
        running.insert(host.to_owned(), (since, what.to_owned()));
        self.bar.set_message(plain(&outstanding(&running)));
        drop(running);
        if self.show == Show::Steps {
            print::note(&format!("{host}: {what}"));
        }
    }

    /// Tells how a host ended.
    pub fn ended(&self, result: &HostResult) {
        let mut running = self.running();
        running.remove(&result.host);
        self.bar.set_message(plain(&outstanding(&running)));
        drop(running);
        self.bar.inc(1);
        let line = format!("{}: {}{}", result.host, result.status.as_str(), detail(result));
        match self.show {
            Show::Live if result.status != Status::Ok => self.bar.println(shown(&line, To::Terminal)),
            Show::Lines | Show::Steps => print::note(&line),
            Show::Live | Show::Nothing => {}
        }
    }

    /// Takes the live line off the screen while `work` uses the terminal.
    pub fn pause<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bar.suspend(work)
    }

    /// Tells that no further host is started, and who is still at work.
    pub fn interrupted(&self) {
        let line =
            format!("interrupted: starting no more hosts; still at work: {}", outstanding(&self.running()));
        match self.show {
            Show::Live => self.bar.println(shown(&line, To::Terminal)),
            Show::Lines | Show::Steps | Show::Nothing => print::note(&line),
        }
    }

    /// Removes the live line.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (Instant, String)>> {
        // A panic elsewhere leaves the map whole: it is only ever replaced entry by entry.
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn detail(result: &HostResult) -> String {
    if result.message.is_empty() { String::new() } else { format!(" ({})", result.message) }
}

/// Names the hosts that have been at work longest.
fn outstanding(running: &BTreeMap<String, (Instant, String)>) -> String {
    let mut oldest: Vec<_> = running.iter().collect();
    oldest.sort_by_key(|(_, (since, _))| *since);
    let named: Vec<String> = oldest
        .iter()
        .take(NAMED)
        .map(|(host, (since, what))| format!("{host} {}s {what}", since.elapsed().as_secs()))
        .collect();
    let more = oldest.len().saturating_sub(NAMED);
    if more == 0 { named.join(", ") } else { format!("{}, +{more}", named.join(", ")) }
}
