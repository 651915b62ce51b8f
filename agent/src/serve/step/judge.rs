//! After a round: what it used, the verdict, and where it leads.

use crate::error::Exit;
use crate::event::Event;
use crate::serve::action::Action;
use crate::serve::breakers::{self, Finished, Verdict};
use crate::serve::input::{BrakeWrite, Input, Scan};
use crate::serve::policy::Rounds;
use crate::serve::state::{Delaying, Judging, State};

use super::machine::{RECHECK, Step};

pub(super) fn judging(cx: &mut Step<'_>, judging: Judging, input: Input) -> State {
    match input {
        Input::Scanned(scan) => verdict(cx, &judging, &scan),
        Input::BrakeWritten(BrakeWrite::Failed(errno)) => {
            let (round_num, errno) = (judging.plan.round_num, errno.map(i64::from));
            cx.emit(Event::MemoryHighWriteFailed { round_num, errno });
            State::Judging(judging)
        }
        Input::BrakeWritten(BrakeWrite::Done(_))
        | Input::Request(_)
        | Input::Doorbell
        | Input::Timer
        | Input::Facts(_)
        | Input::StopFile(_)
        | Input::RoundStarted(_)
        | Input::RoundExited(_)
        | Input::MemoryTick(_)
        | Input::HandOverFailed => State::Judging(judging),
    }
}

fn verdict(cx: &mut Step<'_>, judging: &Judging, scan: &Scan) -> State {
    cx.carried.rounds_completed = cx.carried.rounds_completed.saturating_add(1);
    let (round_num, exit_code) = (judging.plan.round_num, judging.exit_code);
    if let Some(accounting) = &judging.accounting {
        cx.actions.extend(accounting.event(round_num, &scan.end).map(Action::Emit));
        let kills = accounting.oom_kills(exit_code, &scan.end);
        cx.actions.extend(kills.map(|kills| Action::ReportOomKill { round_num, kills }));
    }
    let finished = Finished {
        exit_code,
        duration: judging.duration,
        mem_terminated: scan.mem_terminated,
        throttled: scan.throttled,
        refused: scan.refused,
        reports_usage: scan.reports_usage,
        used: scan.used,
        earlier_mem_loops: scan.earlier_mem_loops,
    };
    let (streaks, verdict) = breakers::judge(cx.carried.streaks, &finished, cx.policy.restart_delay);
    cx.carried.streaks = streaks;
    match verdict {
        Verdict::GiveUp { why, consecutive } => {
            cx.actions.push(Action::ReportGiveUp { why, consecutive, round_num, exit_code });
            State::Ended(why.exit())
        }
        Verdict::GoOn(_) if cx.policy.rounds == Rounds::Once => State::Ended(Exit::Ok),
        Verdict::GoOn(delay) => cx.leave(delay).unwrap_or_else(|| {
            let until = cx.now.mono + delay;
            State::Delaying(Delaying { until, recheck: cx.recheck(RECHECK) })
        }),
    }
}
