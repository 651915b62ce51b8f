//! An agent that stays after it has printed its result: the search for the marker, the grace, and children that still
//! work.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use regex::bytes::Regex;

use super::grace::{LiveChild, Verdict, judge};
use super::marker::{Look, MarkerSearch};
use super::scene::Scene;
use crate::event::Event;
use crate::pattern::{Case, compile};
use crate::process::{pidfd, tree, wait};

/// How long after a look at the log the next one is at the earliest.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Children waited for at once; more are seen when these have ended.
const WATCHED_MAX: usize = 64;

/// Whether the agent stays too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lingering {
    /// It does not, or not yet.
    No,
    /// It does, and nothing below it works.
    TooLong,
}

/// Where we are between the agent's start and the end of its grace.
#[derive(Debug)]
enum Stage {
    /// The grace is switched off, or the log cannot be followed.
    Off,
    /// The marker has not been printed; `next` is when to look again, `None` when something new is written.
    Searching { search: MarkerSearch, written: Option<Inotify>, next: Option<Instant> },
    /// It has.
    Waiting { until: Instant },
    /// The grace is over, but these children work; each descriptor tells of one's end.
    Extended { children: Vec<OwnedFd>, until: Instant },
}

/// The watch over an agent that may linger.
#[derive(Debug)]
pub(super) struct Linger {
    stage: Stage,
    grace: Duration,
    ignore: Vec<Regex>,
    is_extension_told: bool,
}

impl Linger {
    pub(super) fn new(scene: &Scene, log: &File) -> Linger {
        let grace = Duration::from_secs(scene.config.runtime.max_grace_after_result_s);
        let marker = &scene.profile.agent.terminal_marker;
        let stage = if grace.is_zero() || marker.is_empty() {
            Stage::Off
        } else {
            let written = scene.tolerate("watch the agent's log", watch_writes(log));
            // The first look is due at once: the agent may have printed everything before we listened.
            Stage::Searching { search: MarkerSearch::new(marker), written, next: Some(Instant::now()) }
        };
        let patterns = &scene.config.runtime.grace_kill_ignore_patterns;
        let ignore = patterns.iter().filter_map(|pattern| compile(pattern, Case::Exact).ok()).collect();
        Linger { stage, grace, ignore, is_extension_told: false }
    }

    /// Goes on as far as the log, the clock and the children allow.
    pub(super) fn look(&mut self, scene: &Scene, agent: i32, log: &File) -> Lingering {
        let now = Instant::now();
        match &mut self.stage {
            Stage::Off => Lingering::No,
            Stage::Searching { search, written, next } => {
                if next.is_some_and(|next| now < next) {
                    return Lingering::No;
                }
                let has_news = match written {
                    Some(inotify) => inotify.read_events().is_ok_and(|events| !events.is_empty()),
                    None => true,
                };
                // A held-back look is due in any case: its news were taken by the look before.
                if !has_news && next.is_none() {
                    return Lingering::No;
                }
                match search.look(log) {
                    Ok(Look::Found) => self.stage = Stage::Waiting { until: wait::after(now, self.grace) },
                    Ok(Look::More) => *next = Some(now),
                    Ok(Look::AtEnd) if has_news => *next = Some(now + LOOK_EVERY),
                    Ok(Look::AtEnd) => *next = None,
                    Err(error) => {
                        scene.tolerate::<(), _>("read the agent's log", Err(error));
                        self.stage = Stage::Off;
                    }
                }
                Lingering::No
            }
            Stage::Waiting { until } => {
                if now < *until {
                    Lingering::No
                } else {
                    self.decide(scene, agent)
                }
            }
            Stage::Extended { children, until } => {
                let fds: Vec<BorrowedFd<'_>> = children.iter().map(AsFd::as_fd).collect();
                let ended = wait::wait_any(&fds, Some(now)).unwrap_or_default();
                if ended.is_empty() && now < *until {
                    return Lingering::No;
                }
                // Their end is news for the agent, which gets the grace once more to use it.
                self.stage = Stage::Waiting { until: wait::after(now, self.grace) };
                Lingering::No
            }
        }
    }

    /// Returns when to look again although nothing happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Off => None,
            Stage::Searching { written: None, next, .. } => {
                Some(next.unwrap_or_else(|| Instant::now() + LOOK_EVERY))
            }
            Stage::Searching { next, .. } => *next,
            Stage::Waiting { until } | Stage::Extended { until, .. } => Some(*until),
        }
    }

    /// Returns what to wait on. While a look is held back the log's news are not waited for: a flood would wake us for
    /// every line.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let fds: Vec<BorrowedFd<'_>> = match &self.stage {
            Stage::Searching { written: Some(inotify), next: None, .. } => vec![inotify.as_fd()],
            Stage::Extended { children, .. } => children.iter().map(AsFd::as_fd).collect(),
            Stage::Off | Stage::Searching { .. } | Stage::Waiting { .. } => Vec::new(),
        };
        fds.into_iter()
    }

    fn decide(&mut self, scene: &Scene, agent: i32) -> Lingering {
        let verdict = judge(living(agent), &self.ignore);
        if verdict.blocking.is_empty() {
            return Lingering::TooLong;
        }
        self.tell_extension(scene, &verdict);
        let children = verdict.blocking.iter().take(WATCHED_MAX);
        let children: Vec<OwnedFd> = children.filter_map(|child| pidfd::open(child.pid).ok()).collect();
        // A child that ended meanwhile means another look, soon but not at once.
        let patience = if children.is_empty() { LOOK_EVERY } else { Duration::from_secs(24 * 3600) };
        self.stage = Stage::Extended { children, until: Instant::now() + patience };
        Lingering::No
    }

    fn tell_extension(&mut self, scene: &Scene, verdict: &Verdict) {
        if self.is_extension_told {
            return;
        }
        self.is_extension_told = true;
        scene.emit(&Event::RoundGraceExtended {
            round_num: scene.round_num,
            grace_s: grace_s(scene),
            live_children: verdict.blocking_names(),
            ignored_children: verdict.ignored_names(),
        });
    }
}

/// Returns the configured grace as events have it.
pub(super) fn grace_s(scene: &Scene) -> i64 {
    i64::try_from(scene.config.runtime.max_grace_after_result_s).unwrap_or(i64::MAX)
}

fn living(agent: i32) -> Vec<LiveChild> {
    let below = tree::descendants(agent);
    below
        .into_iter()
        .map(|process| LiveChild { command_line: tree::command_line(process.pid), process })
        .collect()
}

/// Tells of writes to the open log, also when its name is gone.
fn watch_writes(log: &File) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", log.as_raw_fd()));
    inotify.add_watch(&path, AddWatchFlags::IN_MODIFY)?;
    Ok(inotify)
}
