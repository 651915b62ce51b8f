//! Reading what the agent printed, after the round, in a process of its own: what goes wrong there costs its events.

use std::ffi::OsStr;
use std::time::Duration;

use jiff::Timestamp;

use super::failpoint::Step;
use super::finish::Finished;
use super::program;
use super::scene::Scene;
use crate::config::wall::HOOKS_S;
use crate::error::in_words;
use crate::event::Event;
use crate::masking::mask;
use crate::process::isolate::{Isolated, isolate};
use crate::provider::{self, RoundFacts, Rules, unread};
use crate::store::backward;

/// Characters kept of an error's message.
const MESSAGE_MAX: usize = 1024;

/// Characters kept of what a crash printed.
const TRACEBACK_MAX: usize = 2048;

/// Stands where the middle of a long text was.
const CUT: &str = "\n[...]\n";

/// Reads the agent's log by the rules of its preset and writes the events that come of it.
/// `path` is where commands are searched.
pub(super) fn read_output(scene: &Scene, rules: &Rules, finished: &Finished<'_>, path: Option<&OsStr>) {
    let monitor = &scene.config.monitor;
    let facts = RoundFacts {
        agent: scene.profile.agent.identity().to_owned(),
        round_num: scene.round_num,
        phase: scene.profile.phase.clone(),
        exit_code: finished.end.exit_code,
        timed_out: finished.end.timed_out(),
        anomaly_window: monitor.anomaly_repetitive_window,
        anomaly_threshold: monitor.anomaly_repetitive_threshold,
    };
    let isolated = isolate(Duration::from_secs(HOOKS_S), || {
        scene.reach(Step::InHook);
        for event in provider::scan(&finished.log.path(), rules, &facts, Timestamp::now()) {
            if let Some(event) = news(scene, event, path) {
                scene.emit(&event);
            }
        }
    });
    let (error_type, message, traceback) = match isolated {
        Ok(Isolated::Done) => return,
        Ok(Isolated::Crashed { status, said }) => ("crash", status.to_string(), said),
        Ok(Isolated::TimedOut { .. }) => ("timeout", format!("took longer than {HOOKS_S} s"), String::new()),
        Err(error) => ("io", in_words(&error), String::new()),
    };
    scene.emit(&Event::HookFailed {
        hook_name: rules.agent.clone(),
        hook_kind: "post_round".to_owned(),
        error_type: error_type.to_owned(),
        error_message: shortened(&mask(&message), MESSAGE_MAX),
        traceback: shortened(&mask(&traceback), TRACEBACK_MAX),
    });
}

/// Returns the event, unless it is a report of output that no rule reads and stands already for this very program.
fn news(scene: &Scene, mut event: Event, path: Option<&OsStr>) -> Option<Event> {
    if let Event::ProviderOutputUnrecognised { program, .. } = &mut event {
        let agent = &scene.profile.agent;
        *program = program::read(&scene.config, agent, path).and_then(|file| program::stamp(&file));
        let events = backward::records(scene.layout().events_files());
        let told = unread::standing(events, agent.identity());
        if told.is_some_and(|told| told.str("program") == program.as_deref()) {
            return None;
        }
    }
    Some(event)
}

/// Cuts the middle out of a text that is longer than `max` characters.
fn shortened(text: &str, max: usize) -> String {
    let count = text.chars().count();
    if count <= max {
        return text.to_owned();
    }
    let side = (max - CUT.len()) / 2;
    let head: String = text.chars().take(side).collect();
    let tail: String = text.chars().skip(count - side).collect();
    format!("{head}{CUT}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_head_and_its_tail() {
        assert_eq!(shortened("short", 100), "short");
        let long = format!("head{}tail", "é".repeat(5000));
        let cut = shortened(&long, MESSAGE_MAX);
        assert!(cut.starts_with("head") && cut.ends_with("tail") && cut.contains("[...]"));
        assert!(cut.chars().count() <= MESSAGE_MAX);
    }
}
