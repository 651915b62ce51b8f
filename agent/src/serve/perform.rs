//! Performing what `step` asks for. What cannot be done is told, never fatal: supervision goes on.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::action::Action;
use super::breakers::{self, GiveUp};
use super::driver::Driver;
use super::facts;
use super::fingerprint;
use super::handover::{self, Handover, HandoverError};
use super::input::{BrakeWrite, Facts, Input, Scan, Started};
use super::replay;
use super::round_child::{self, Ending, Origin, RoundChild};
use super::state::{Loop, RoundPlan, State};
use crate::error::Error;
use crate::event::Event;
use crate::host::Sample;
use crate::output;
use crate::process::orphans;
use crate::process::signals::SignalInput;
use crate::store::doorbell::Doorbell;
use crate::store::round_number;

/// What asking git for HEAD may take.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// The exit code of a round that could not even be started.
const NOT_STARTED: i64 = 127;

/// The event files looked at: the newest ones.
const MONTHS: usize = 2;

impl Driver {
    pub(super) fn perform(&mut self, current: &Loop, action: Action) {
        match action {
            Action::Emit(event) => self.events.append(&event),
            Action::Gather => {
                let facts = self.gather();
                self.inputs.push_back(Input::Facts(Box::new(facts)));
            }
            Action::LookForStopFile => self.inputs.push_back(Input::StopFile(self.stop_file())),
            Action::SubstrateBefore(round_num) => {
                let (git_head, paths_hash) = self.substrate();
                self.events.append(&Event::RoundSubstrateBefore { round_num, git_head, paths_hash });
            }
            Action::SubstrateAfter(round_num) => {
                let (git_head, paths_hash) = self.substrate();
                self.events.append(&Event::RoundSubstrateAfter { round_num, git_head, paths_hash });
            }
            Action::StartRound(plan) => self.start_round(&plan),
            Action::SampleMemory => {
                let pid = self.child.as_ref().map_or(0, |round| round.child.pid());
                let tick = self.groups.tick(&self.root, pid, self.policy.brake);
                self.inputs.push_back(Input::MemoryTick(Box::new(tick)));
            }
            Action::CancelRound => self.signal_round(SignalInput::Usr1),
            Action::NudgeRound => self.signal_round(SignalInput::Term),
            Action::AskRoundToEnd => {
                if let Some(round) = &mut self.child {
                    round.ask();
                }
            }
            Action::KillRound => {
                if let Some(round) = &mut self.child {
                    round.kill();
                }
            }
            Action::AbandonRound => {
                output::note("the round's process cannot be reaped; going on without it");
                self.child = None;
            }
            Action::WriteMemoryHigh(token) => self.write_memory_high(&token),
            Action::FinishRound(round_num) => self.finish_round(current, round_num),
            Action::ScanLog(agent) => {
                let scan = self.scan(agent.as_deref());
                self.inputs.push_back(Input::Scanned(Box::new(scan)));
            }
            Action::ReportOomKill { round_num, kills } => self.report_oom_kill(round_num, kills),
            Action::ReportGiveUp { why, consecutive, round_num, exit_code } => {
                self.report_give_up(why, consecutive, (round_num, exit_code));
            }
            Action::HandOver(delay) => {
                let error = self.hand_over(current, delay);
                output::error(
                    &Error::failed("the program file did not take over; going on").caused_by(error),
                );
                self.inputs.push_back(Input::HandOverFailed);
            }
        }
    }

    /// Returns the facts of the first iteration.
    pub(super) fn first_facts(&mut self) -> Input {
        Input::Facts(Box::new(self.gather()))
    }

    fn gather(&mut self) -> Facts {
        self.read_log();
        self.tell_poison();
        let fresh_id = facts::fresh_id(&self.root);
        Facts {
            agent_done: facts::note(&self.layout.agent_done()),
            stop_file: self.stop_file(),
            next_round: round_number::next(&self.layout),
            throttles: self.history.throttles.clone(),
            sample: Sample::take(&self.root),
            jitter_s: facts::jitter_s(&fresh_id),
            fresh_id,
        }
    }

    fn stop_file(&self) -> Option<String> {
        self.config.runtime.stop_file.as_deref().and_then(facts::note)
    }

    /// Folds the newest event files from their beginning, once.
    pub(super) fn replay_log(&mut self) {
        for path in self.newest_events() {
            let history = &mut self.history;
            // A file that cannot be read now is followed from its beginning.
            if let Ok(behind) = replay::lines(&path, |line| history.apply_line(line)) {
                self.follower.set(&path, behind);
            }
        }
    }

    /// Folds what is new in the newest event files.
    pub(super) fn read_log(&mut self) {
        let files = self.newest_events();
        let history = &mut self.history;
        // What cannot be read now is read the next time; the place is kept.
        let _ = self.follower.poll(&files, |line| history.apply_line(&line.bytes));
    }

    fn newest_events(&self) -> Vec<PathBuf> {
        let mut files = self.layout.events_files();
        files.split_off(files.len().saturating_sub(MONTHS))
    }

    /// Warns, once per error, of a reset that makes no sense and is ignored.
    fn tell_poison(&mut self) {
        let now = Timestamp::now();
        let unrecovered = self.history.throttles.unrecovered();
        let found: Vec<String> = unrecovered
            .filter(|throttle| throttle.is_poisoned(now))
            .map(|throttle| throttle.agent.clone())
            .collect();
        for agent in found.iter().filter(|agent| !self.poisoned.contains(agent)) {
            output::note(&format!(
                "warning: the reset time of {agent}'s throttle makes no sense and is ignored"
            ));
        }
        self.poisoned = found;
    }

    fn substrate(&self) -> (Option<String>, Option<String>) {
        let runtime = &self.config.runtime;
        let head = self.git.head(HEAD_LIMIT).ok().flatten();
        (head, fingerprint::of(&runtime.work_dir, &runtime.substrate_fingerprint_paths))
    }

    fn start_round(&mut self, plan: &RoundPlan) {
        self.groups = facts::Groups::find(&self.root);
        let origin =
            Origin { program: &self.invocation.program, config: &self.config_path, layout: &self.layout };
        match RoundChild::start(&origin, plan) {
            Ok(round) => {
                let started = Started { pid: round.child.pid(), reading: self.groups.reading() };
                self.child = Some(round);
                self.inputs.push_back(Input::RoundStarted(started));
            }
            Err(error) => {
                let text = format!("round {} cannot be started", plan.round_num);
                output::error(&Error::failed(text).caused_by(error));
                self.inputs.push_back(Input::RoundExited(NOT_STARTED));
            }
        }
    }

    fn signal_round(&self, signal: SignalInput) {
        if let Some(round) = &self.child {
            round.signal(signal);
        }
    }

    fn write_memory_high(&mut self, token: &str) {
        let begin = Instant::now();
        let written = match &self.groups.own {
            Some(own) => own.set_memory_high(token),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        self.inputs.push_back(Input::BrakeWritten(match written {
            Ok(()) => BrakeWrite::Done(begin.elapsed()),
            Err(error) => BrakeWrite::Failed(error.raw_os_error()),
        }));
    }

    /// Ends what a round left behind (a killed one leaves its agent, which came back to us) before anything else starts.
    fn finish_round(&mut self, current: &Loop, round_num: i64) {
        let grace_s = match &current.state {
            State::Judging(judging) => judging.plan.grace_s,
            State::Deciding
            | State::BackingOff(_)
            | State::Deferred(_)
            | State::Paused(_)
            | State::Starting(_)
            | State::Running(_)
            | State::EndingRound(_)
            | State::Delaying(_)
            | State::HandingOver(_)
            | State::Ended(_) => 0,
        };
        let leftovers = orphans::end_orphans(Duration::from_secs(grace_s));
        if !leftovers.found.is_empty() {
            let count = leftovers.found.len();
            output::note(&format!("round {round_num} left {count} processes behind; they were ended"));
        }
        if let Err(error) = round_child::point_current(&self.layout, round_num) {
            output::error(
                &Error::failed("round-current.log cannot be pointed to the new log").caused_by(error),
            );
        }
    }

    fn scan(&mut self, agent: Option<&str>) -> Scan {
        self.read_log();
        let now = Timestamp::now();
        Scan {
            mem_terminated: self.history.is_mem_terminated(),
            throttled: self.history.throttles.active(agent, now).is_some(),
            refused: self.history.is_refused(),
            reports_usage: self.history.reports_usage(agent),
            used: self.history.has_used(agent),
            earlier_mem_loops: self.history.recent_mem_loops(now),
            end: self.groups.end(&self.root),
        }
    }

    fn report_oom_kill(&self, round_num: i64, kills: i64) {
        let line = format!("agent-runner: the kernel killed {kills} processes of this round for memory");
        let (size, ending) =
            round_child::append_trailer(&self.layout, round_num, &line).unwrap_or((0, Ending::Whole));
        self.events.append(&Event::RoundOomKilled {
            round_num,
            log_path: self.layout.round_log(round_num).display().to_string(),
            log_bytes: i64::try_from(size).unwrap_or(i64::MAX),
            events_oom_kill_delta: kills,
            oom_kill_delta: kills,
            partial_log: ending == Ending::Torn,
        });
    }

    fn report_give_up(&self, why: GiveUp, consecutive: u32, (round_num, exit_code): (i64, i64)) {
        let reason = round_child::reason(&self.layout, round_num);
        self.events.append(&breakers::event(why, consecutive, exit_code, reason));
        output::note(&format!("giving up after round {round_num}, which ended with {exit_code}: {why:?}"));
    }

    /// Returns only when the other program does not take over.
    fn hand_over(&mut self, current: &Loop, delay: Duration) -> HandoverError {
        if let Err(error) = handover::verify(&self.invocation.program) {
            return error;
        }
        let lock = match self.lock.keep_over_exec() {
            Ok(lock) => lock,
            Err(source) => {
                return HandoverError::Exec { program: self.invocation.program.clone(), source };
            }
        };
        self.notify.reloading();
        self.doorbell = None;
        let error = handover::exec(&self.invocation, &Handover::new(current.carried.clone(), delay), lock);
        // Still here: everything is put back as it was.
        if let Err(failed) = self.lock.close_on_exec() {
            output::error(&Error::failed("the lock stays open over the next exec").caused_by(failed));
        }
        self.doorbell = Doorbell::listen(&self.layout.notify_dir()).ok();
        self.notify.ready();
        error
    }
}
