//! The one loop that owns the state: it waits, turns what happened into input, and performs what `step` asks for.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::facts::Groups;
use super::handover::Invocation;
use super::history::History;
use super::input::{Input, Request};
use super::notify::Notify;
use super::policy::Policy;
use super::round_child::RoundChild;
use super::state::{Loop, Now, State};
use super::step::step;
use super::watch::Watch;
use crate::config::types::Config;
use crate::error::Exit;
use crate::git::Git;
use crate::host::Root;
use crate::process::signals::{SignalInput, Signals, StopSignal};
use crate::process::stop::{self, Reach, StopOptions};
use crate::process::wait;
use crate::store::doorbell::Doorbell;
use crate::store::event_log::EventLog;
use crate::store::follow::Follower;
use crate::store::layout::Layout;
use crate::store::lock::Lock;

/// The longest wait when the state names no deadline: it is a state that only waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a round gets to end when the Loop itself fails.
const LAST_GRACE: Duration = Duration::from_secs(15);

/// Everything the Loop needs of the world.
#[derive(Debug)]
pub struct Driver {
    pub(super) config: Config,
    pub(super) policy: Policy,
    pub(super) layout: Layout,
    pub(super) events: EventLog,
    pub(super) root: Root,
    pub(super) groups: Groups,
    pub(super) git: Git,
    pub(super) history: History,
    pub(super) follower: Follower,
    pub(super) signals: Signals,
    pub(super) doorbell: Option<Doorbell>,
    pub(super) watch: Option<Watch>,
    pub(super) notify: Notify,
    pub(super) child: Option<RoundChild>,
    pub(super) lock: Lock,
    pub(super) invocation: Invocation,
    pub(super) config_path: PathBuf,
    pub(super) started: Instant,
    pub(super) inputs: VecDeque<Input>,
    /// Agents whose reset was told to make no sense.
    pub(super) poisoned: Vec<String>,
}

impl Driver {
    /// Runs the Loop to its end.
    ///
    /// # Errors
    /// When waiting itself fails: then nothing could be supervised any more.
    pub fn run(mut self, mut current: Loop) -> io::Result<Exit> {
        self.notify.ready();
        loop {
            while let Some(input) = self.inputs.pop_front() {
                let (next, actions) = step(&self.policy, current, input, self.now());
                current = next;
                for action in actions {
                    self.perform(&current, action);
                }
            }
            self.notify.status(&current.describe());
            if let State::Ended(exit) = current.state {
                self.notify.stopping();
                return Ok(exit);
            }
            if let Err(error) = self.wait(&current) {
                self.end_child();
                return Err(error);
            }
        }
    }

    /// Ends the round when nobody can watch it any more.
    fn end_child(&mut self) {
        if let Some(round) = &mut self.child {
            let options = StopOptions { first: StopSignal::Term, grace: LAST_GRACE, reach: Reach::Leader };
            stop::stop_agent(&mut round.child, options);
        }
    }

    /// Returns now, by both clocks.
    pub(super) fn now(&self) -> Now {
        Now { wall: Timestamp::now(), mono: self.started.elapsed() }
    }

    /// Waits for something to happen and queues it.
    fn wait(&mut self, current: &Loop) -> io::Result<()> {
        let listens = is_pause(&current.state);
        if listens {
            self.watch_stop_file();
        } else {
            // A running round must wake nobody.
            self.watch = None;
        }
        if !self.inputs.is_empty() {
            return Ok(());
        }
        let deadline = self.started + current.deadline().unwrap_or_else(|| self.started.elapsed() + PATIENCE);
        let ping = self.notify.interval().map(|interval| Instant::now() + interval);
        let mut fds: Vec<(Source, BorrowedFd<'_>)> = vec![(Source::Signals, self.signals.as_fd())];
        fds.extend(self.child.as_ref().map(|round| (Source::Child, round.child.pidfd())));
        if listens {
            fds.extend(self.doorbell.as_ref().map(|bell| (Source::Doorbell, bell.as_fd())));
            fds.extend(self.watch.as_ref().map(|watch| (Source::Watch, watch.as_fd())));
        }
        let polled: Vec<_> = fds.iter().map(|(_, fd)| *fd).collect();
        let ready = wait::wait_any(&polled, Some(ping.map_or(deadline, |ping| ping.min(deadline))))?;
        let sources: Vec<Source> =
            ready.iter().filter_map(|&index| fds.get(index)).map(|(s, _)| *s).collect();
        if ping.is_some() {
            self.notify.alive();
        }
        for source in sources {
            self.take(source);
        }
        if Instant::now() >= deadline {
            self.inputs.push_back(Input::Timer);
        }
        Ok(())
    }

    /// Makes sure that a stop file is noticed at once.
    fn watch_stop_file(&mut self) {
        if self.watch.is_none()
            && let Some(path) = &self.config.runtime.stop_file
        {
            self.watch = Watch::appearance_of(path).ok();
            if self.watch.is_some() {
                // It may have appeared just before it was watched for.
                self.inputs.push_back(Input::Doorbell);
            }
        }
    }

    fn take(&mut self, source: Source) {
        match source {
            Source::Signals => {
                while let Some(signal) = self.signals.next() {
                    self.inputs.extend(request(signal).map(Input::Request));
                }
            }
            Source::Child => {
                if let Some(mut round) = self.child.take() {
                    self.inputs.push_back(Input::RoundExited(round.reap()));
                }
            }
            Source::Doorbell => {
                if let Some(bell) = &mut self.doorbell {
                    bell.drain();
                }
                self.inputs.push_back(Input::Doorbell);
            }
            Source::Watch => {
                if self.watch.as_ref().is_some_and(Watch::drain) {
                    self.inputs.push_back(Input::Doorbell);
                }
            }
        }
    }
}

/// What woke us.
#[derive(Debug, Clone, Copy)]
enum Source {
    Signals,
    Child,
    Doorbell,
    Watch,
}

fn is_pause(state: &State) -> bool {
    match state {
        State::BackingOff(_) | State::Deferred(_) | State::Paused(_) | State::Delaying(_) => true,
        State::Deciding
        | State::Starting(_)
        | State::Running(_)
        | State::EndingRound(_)
        | State::Judging(_)
        | State::HandingOver(_)
        | State::Ended(_) => false,
    }
}

fn request(signal: SignalInput) -> Option<Request> {
    match signal {
        SignalInput::Usr1 => Some(Request::Cancel),
        SignalInput::Usr2 => Some(Request::HandOver),
        SignalInput::Term | SignalInput::Int | SignalInput::Hup | SignalInput::Quit => Some(Request::Stop),
        SignalInput::Winch | SignalInput::Tstp | SignalInput::Cont => None,
    }
}
