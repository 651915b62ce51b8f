//! Watching the agent run: one loop that sleeps until something happens. No interval is polled; when nothing happens,
//! nothing wakes.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant, SystemTime};

use super::linger::{Linger, Lingering};
use super::outcome::{AgentEnd, EndedBy};
use super::scene::Scene;
use crate::event::Event;
use crate::process::child::Child;
use crate::process::signals::{SignalInput, Signals, StopSignal};
use crate::process::stop::{self, Reach, StopOptions};
use crate::process::wait::{self, Interest};

/// The agent and what is watched with it.
pub(super) struct Watched<'a> {
    /// The agent.
    pub(super) child: &'a mut Child,
    /// Its log, for reading.
    pub(super) log: &'a File,
    /// When it was started.
    pub(super) started: Instant,
    /// What arrives for us.
    pub(super) signals: &'a Signals,
    /// The first signal when we are told to end.
    pub(super) cooperative: StopSignal,
    /// How long it may take to follow a first signal.
    pub(super) reap_grace: Duration,
}

/// How watching came to its end; the agent is reaped.
pub(super) enum Ending {
    /// The agent's round is over.
    Over(AgentEnd),
    /// We were told to end, and have ended the agent.
    Interrupted,
}

/// Watches the agent until it is gone. Events that belong to the running round are written on the way.
///
/// SIGTERM, SIGINT and SIGHUP end the agent and the round; SIGUSR1 cancels: SIGINT to the agent's group, and the stop
/// ladder when it has not ended by itself within the reap grace.
///
/// # Errors
/// When the kernel refuses to wait. The agent is then ended.
pub(super) fn watch(scene: &Scene, mut watched: Watched<'_>) -> io::Result<Ending> {
    let result = run(scene, &mut watched);
    if result.is_err() {
        watched.stop(watched.cooperative);
    }
    result
}

fn run(scene: &Scene, watched: &mut Watched<'_>) -> io::Result<Ending> {
    let budget = Duration::from_secs(scene.profile.round_budget_s);
    let wall_clock = wait::after(watched.started, budget);
    let mut cancelled: Option<Instant> = None;
    let mut heartbeat = Heartbeat::new(scene, watched.started);
    let mut linger = Linger::new(scene, watched.log);
    loop {
        let now = Instant::now();
        if watched.child.has_ended(now)? {
            let duration = watched.started.elapsed();
            let status = stop::reap_leader(watched.child);
            return Ok(Ending::Over(AgentEnd { exit_code: status.code(), duration, cause: EndedBy::Itself }));
        }
        while let Some(signal) = watched.signals.next() {
            match signal {
                SignalInput::Usr1 => {
                    stop::interrupt_group(watched.child);
                    cancelled = cancelled.or(Some(now + watched.reap_grace));
                }
                SignalInput::Term | SignalInput::Int | SignalInput::Hup | SignalInput::Quit => {
                    watched.stop(watched.cooperative);
                    return Ok(Ending::Interrupted);
                }
                SignalInput::Usr2 | SignalInput::Winch | SignalInput::Tstp | SignalInput::Cont => {}
            }
        }
        if now > wall_clock {
            return Ok(watched.ended(StopSignal::Term, EndedBy::WallClock));
        }
        if cancelled.is_some_and(|at| now >= at) {
            return Ok(watched.ended(watched.cooperative, EndedBy::Cancel));
        }
        match linger.look(scene, watched.child.pid(), watched.log) {
            Lingering::No => {}
            Lingering::TooLong => return Ok(watched.ended(StopSignal::Term, EndedBy::Grace)),
        }
        heartbeat.beat(scene, watched.log);
        // Just past the wall clock, which has to be exceeded.
        let past = wall_clock + Duration::from_millis(1);
        let deadline = [Some(past), cancelled, linger.deadline(), heartbeat.next].into_iter().flatten().min();
        let mut interests: Vec<(BorrowedFd<'_>, Interest)> =
            vec![(watched.child.pidfd(), Interest::Read), (watched.signals.as_fd(), Interest::Read)];
        interests.extend(watched.child.stdin_pending().map(|fd| (fd, Interest::Write)));
        interests.extend(linger.descriptors().map(|fd| (fd, Interest::Read)));
        wait::wait_for(&interests, deadline)?;
        watched.child.push_stdin();
    }
}

impl Watched<'_> {
    fn stop(&mut self, first: StopSignal) -> i64 {
        let options = StopOptions { first, grace: self.reap_grace, reach: Reach::Group };
        stop::stop_agent(self.child, options).code()
    }

    fn ended(&mut self, first: StopSignal, cause: EndedBy) -> Ending {
        let exit_code = self.stop(first);
        Ending::Over(AgentEnd { exit_code, duration: self.started.elapsed(), cause })
    }
}

/// The opt-in sign of life of a running round.
struct Heartbeat {
    every: Duration,
    started: Instant,
    next: Option<Instant>,
}

impl Heartbeat {
    fn new(scene: &Scene, started: Instant) -> Heartbeat {
        let every = Duration::from_secs(scene.config.monitor.round_progress_interval_s);
        Heartbeat { every, started, next: (!every.is_zero()).then(|| wait::after(started, every)) }
    }

    fn beat(&mut self, scene: &Scene, log: &File) {
        let now = Instant::now();
        let Some(due) = self.next.filter(|&due| now >= due) else { return };
        // From now on when we were held up, so that no burst makes up for it.
        self.next = Some(wait::after(due, self.every).max(now));
        let meta = log.metadata();
        let size = meta.as_ref().map_or(0, std::fs::Metadata::len);
        let written = meta.and_then(|meta| meta.modified()).unwrap_or_else(|_| SystemTime::now());
        scene.emit(&Event::RoundProgress {
            round_num: scene.round_num,
            log_size_kb: whole(size / 1024),
            last_write_age_s: whole(written.elapsed().unwrap_or_default().as_secs()),
            wall_age_s: whole(self.started.elapsed().as_secs()),
        });
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
