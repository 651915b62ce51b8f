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
/// How often the ages on the live line are drawn anew.
const TICK: Duration = Duration::from_millis(250);

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
    line: Mutex<LiveLine>,
}

/// Where the live line is, and how many hosts have ended.
#[derive(Debug, Default)]
struct LiveLine {
    place: Place,
    ended: u64,
}

#[derive(Debug, Default)]
enum Place {
    /// On the screen.
    #[default]
    Shown,
    /// Off it, while somebody else uses the terminal; these lines wait until that is over.
    Aside(Vec<String>),
    /// Gone for good.
    Gone,
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
        bar.enable_steady_tick(TICK);
        Progress { show, bar, running: Mutex::default(), line: Mutex::default() }
    }

    /// Tells that a host has started, or what it does now.
    pub fn step(&self, host: &str, what: &str) {
        let mut running = self.running();
        let since = running.get(host).map_or_else(Instant::now, |(since, _)| *since);
        running.insert(host.to_owned(), (since, what.to_owned()));
        let message = plain(&outstanding(&running));
        drop(running);
        if matches!(self.line().place, Place::Shown) {
            self.bar.set_message(message);
        }
        if self.show == Show::Steps {
            print::note(&format!("{host}: {what}"));
        }
    }

    /// Tells how a host ended.
    pub fn ended(&self, result: &HostResult) {
        let mut running = self.running();
        running.remove(&result.host);
        let message = plain(&outstanding(&running));
        drop(running);
        {
            let mut line = self.line();
            line.ended += 1;
            if matches!(line.place, Place::Shown) {
                self.bar.set_message(message);
                self.bar.inc(1);
            }
        }
        let line = format!("{}: {}{}", result.host, result.status.as_str(), detail(result));
        match self.show {
            Show::Live if result.status != Status::Ok => self.above(line),
            Show::Lines | Show::Steps => print::note(&line),
            Show::Live | Show::Nothing => {}
        }
    }

    /// Takes the live line off the screen while `work` uses the terminal. Hosts may end meanwhile, and the run itself.
    pub fn pause<T>(&self, work: impl FnOnce() -> T) -> T {
        {
            let mut line = self.line();
            if let (Show::Live, Place::Shown) = (self.show, &line.place) {
                self.bar.disable_steady_tick();
                self.bar.finish_and_clear();
                line.place = Place::Aside(Vec::new());
            }
        }
        let done = work();
        let message = plain(&outstanding(&self.running()));
        let mut line = self.line();
        if let Place::Aside(waiting) = &mut line.place {
            let waiting = std::mem::take(waiting);
            line.place = Place::Shown;
            self.bar.reset();
            self.bar.set_position(line.ended);
            self.bar.set_message(message);
            self.bar.enable_steady_tick(TICK);
            waiting.iter().for_each(|text| self.bar.println(shown(text, To::Terminal)));
        }
        done
    }

    /// Tells that no further host is started, and who is still at work.
    pub fn interrupted(&self) {
        let line =
            format!("interrupted: starting no more hosts; still at work: {}", outstanding(&self.running()));
        match self.show {
            Show::Live => self.above(line),
            Show::Lines | Show::Steps | Show::Nothing => print::note(&line),
        }
    }

    /// Removes the live line.
    pub fn finish(&self) {
        let mut line = self.line();
        match std::mem::replace(&mut line.place, Place::Gone) {
            Place::Shown => self.bar.finish_and_clear(),
            Place::Aside(waiting) => waiting.iter().for_each(|text| print::note(text)),
            Place::Gone => {}
        }
    }

    /// Shows a line above the live one.
    fn above(&self, text: String) {
        match &mut self.line().place {
            Place::Shown => self.bar.println(shown(&text, To::Terminal)),
            Place::Aside(waiting) => waiting.push(text),
            Place::Gone => print::note(&text),
        }
    }

    fn line(&self) -> std::sync::MutexGuard<'_, LiveLine> {
        // As below: what it holds is only ever replaced.
        self.line.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
