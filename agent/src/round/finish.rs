//! The steps of a round after its agent: outcome, goal checks, work tree, state.

use jiff::Timestamp;

use super::agent_log::AgentLog;
use super::agent_run;
use super::failpoint::Step;
use super::outcome::AgentEnd;
use super::sample::{About, Sampler};
use super::scene::Scene;
use super::{dirty, goal_checks, network};
use crate::event::Event;
use crate::process::signals::Signals;
use crate::store::status::{self, Status};
use crate::store::{metrics, time};

/// A round whose agent is gone.
pub(super) struct Finished<'a> {
    /// How the agent ended.
    pub(super) end: &'a AgentEnd,
    /// What it printed.
    pub(super) log: &'a AgentLog,
    /// The reference of what was dirty before it.
    pub(super) before_ref: Option<&'a str>,
}

/// Tells how the agent ended, runs the goal checks before the tree is touched, and deals with the tree.
pub(super) fn settle(scene: &Scene, finished: &Finished<'_>, signals: &Signals) {
    let end = finished.end;
    scene.emit(&Event::AgentExit {
        round_num: scene.round_num,
        exit_code: end.exit_code,
        duration_s: end.duration_s(),
        timed_out: end.timed_out(),
        exit_cause: end.exit_cause(),
    });
    scene.reach(Step::AgentExit);
    for check in scene.config.goal.iter().flat_map(|goal| &goal.checks) {
        if signals.next().is_some() {
            break;
        }
        let is_dry = scene.config.runtime.dry_run;
        scene.emit(&if is_dry { goal_checks::skipped(check) } else { goal_checks::run(check) });
    }
    // What a check left running has no more right to stay than what the agent left.
    agent_run::end_leftovers(scene, agent_run::LEFTOVER_GRACE);
    scene.reach(Step::GoalChecks);
    if !end.is_ok() && !end.is_signal_death() {
        tell_network(scene, finished);
    }
    dirty::settle(scene, end, finished.before_ref);
    agent_run::tell_kill(scene, end);
}

/// Writes what is left to remember of the round.
pub(super) fn conclude(scene: &Scene, end: &AgentEnd, sampler: &mut Sampler) {
    let phases = &scene.config.phases.list;
    let index = phases.iter().position(|phase| Some(phase.as_str()) == scene.phase()).unwrap_or(0);
    let status = Status {
        round_num: scene.round_num,
        running: false,
        last_completed_at: Some(time::stamp(Timestamp::now())),
        last_exit_code: Some(end.exit_code),
        last_duration_s: Some(end.duration_s()),
        current_phase: scene.profile.phase.clone(),
        phase_index: i64::try_from(index).ok(),
    };
    scene.tolerate("write status.json", status::write(scene.layout(), &status));
    scene.reach(Step::Status);
    sample(scene, sampler, "round_end");
    scene.emit(&Event::RoundEnd { round_num: scene.round_num });
    scene.reach(Step::RoundEnd);
}

/// Appends a sample of the host to the metrics.
pub(super) fn sample(scene: &Scene, sampler: &mut Sampler, event: &str) {
    let now = Timestamp::now();
    let agent = scene.profile.agent.identity();
    let about = About { event, round_num: scene.round_num, phase: scene.phase(), agent };
    let sample = sampler.take(scene.layout(), &about, now);
    scene.tolerate("write metrics", metrics::append(scene.layout(), &sample, now));
}

fn tell_network(scene: &Scene, finished: &Finished<'_>) {
    let Some(Some(matched)) = scene.tolerate("search the agent's log", network::scan(&finished.log.file))
    else {
        return;
    };
    let end = finished.end;
    scene.emit(&Event::AgentNetworkBlip {
        round_num: scene.round_num,
        phase: scene.profile.phase.clone(),
        matched,
        round_duration_s: end.duration_s(),
        exit_code: end.exit_code,
        timed_out: end.timed_out(),
    });
}
