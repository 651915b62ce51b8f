//! The steps of a round before its agent: who we are, what we know, what we tell.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::context::{self, Starting};
use super::critic;
use super::digest;
use super::error::RoundError;
use super::ledger::{self, Entry};
use super::options::Handed;
use super::prompt;
use super::scene::Scene;
use super::treadmill;
use crate::config::types::Config;
use crate::event::Event;
use crate::output;
use crate::store::backward::records;
use crate::store::event_log::EventLog;
use crate::store::retention;
use crate::store::state::Read;
use crate::store::status::{self, Status};
use crate::store::{orphan_state, round_context, round_number, time};

/// Event files the treadmill looks at.
const TREADMILL_FILES: usize = 2;

/// Reads status.json; an unusable one is told and ignored.
pub(super) fn status(log: &EventLog) -> Option<Status> {
    match status::read(log.layout()) {
        Read::Usable(status) => Some(status),
        Read::Missing => None,
        Read::Unusable(reason) => {
            log.append(&Event::StatusRecovered { reason });
            None
        }
    }
}

/// Returns the round's number: the Loop's, or the next.
pub(super) fn number(handed: &Handed, log: &EventLog) -> i64 {
    handed.round_num.filter(|&number| number > 0).unwrap_or_else(|| round_number::next(log.layout()))
}

/// Returns the round's phase: the one asked for, or the rotation's.
///
/// # Errors
/// When the one asked for is not in the rotation.
pub(super) fn phase(
    config: &Config,
    asked: Option<&str>,
    round_num: i64,
) -> Result<Option<String>, RoundError> {
    match asked {
        Some(phase) if config.phases.list.iter().any(|known| known == phase) => Ok(Some(phase.to_owned())),
        Some(phase) => {
            Err(RoundError::UnknownPhase { phase: phase.to_owned(), known: config.phases.list.join(", ") })
        }
        None => Ok(config.rotation(round_num).map(str::to_owned)),
    }
}

/// Ends logs that are too many or too old.
pub(super) fn prune(scene: &Scene) {
    let (layout, now) = (scene.layout(), Timestamp::now());
    if let Some(deferred) = retention::prune_agent_logs(layout, scene.config.runtime.round_log_retention) {
        scene.emit(&deferred);
    }
    retention::prune_events(layout, scene.config.retention.events_months, now);
    retention::prune_metrics(layout, scene.config.retention.metrics_months, now);
}

/// Writes round-context.json and returns its text, which is also the prompt's context block.
pub(super) fn remember(scene: &Scene, last: Option<&Status>, started: Timestamp) -> String {
    let orphans = orphan_state::read(scene.layout()).usable();
    let starting = Starting {
        round_num: scene.round_num,
        started_at: time::stamp(started),
        phase: scene.profile.phase.clone(),
    };
    let mut context = context::build(starting, last, orphans.as_ref());
    if scene.config.critic.is_some() {
        context.critic_findings = critic::newest_findings(scene.layout());
    }
    scene.tolerate("write round-context.json", round_context::write(scene.layout(), &context));
    context.to_json()
}

/// Writes an assessment into the ledger when the last rounds went nowhere. Advisory: nothing here ends a round.
pub(super) fn assess_goal(scene: &Scene) {
    let Some(goal) = &scene.config.goal else { return };
    let files = scene.layout().events_files();
    let newest: Vec<PathBuf> = files.iter().rev().take(TREADMILL_FILES).rev().cloned().collect();
    let Some(event) = treadmill::assess(records(newest), scene.round_num) else { return };
    if let Event::GoalAssessment { observation, question, confidence } = &event {
        let timestamp = time::stamp(Timestamp::now());
        let entry = Entry { timestamp: &timestamp, observation, question, confidence };
        if scene.tolerate("write the goal ledger", ledger::prepend(&goal.ledger, &entry)).is_some() {
            scene.emit(&event);
        }
    }
}

/// Writes `round_start`.
pub(super) fn tell_start(scene: &Scene) {
    let (config, profile) = (&scene.config, &scene.profile);
    let digest = digest::digest(config, profile);
    let is_changed = digest::newest(scene.layout()).as_ref() != Some(&digest);
    let names = || config.goal.iter().flat_map(|goal| &goal.checks).map(|check| check.name.clone());
    scene.emit(&Event::RoundStart {
        round_num: scene.round_num,
        phase: profile.phase.clone(),
        config_digest: digest,
        config_changed: is_changed,
        config_prompt_files: is_changed.then(|| profile.prompt_files.iter().map(|path| text(path)).collect()),
        config_check_names: is_changed.then(|| names().collect()),
        config_vcs_dirty_action: is_changed.then(|| config.vcs.dirty_action.as_str().to_owned()),
        config_prompt_delivery: is_changed
            .then(|| digest::delivery_name(profile.agent.prompt_delivery).to_owned()),
    });
}

/// Returns the whole prompt.
///
/// # Errors
/// When a prompt file vanished after the battery.
pub(super) fn prompt(scene: &Scene, context_json: &str) -> Result<String, RoundError> {
    let pieces = prompt::read(&scene.profile.prompt_files)?;
    for path in &pieces.missing {
        output::note(&format!(
            "R{}: prompt file {} is missing and left out",
            scene.round_num,
            path.display()
        ));
    }
    let assembled = prompt::assemble(&pieces.texts, &scene.config.prompt);
    Ok(prompt::with_context(&assembled, context_json, &scene.config.prompt))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
