//! What every step of one round works with.

use std::path::PathBuf;

use super::failpoint::{Failpoint, Step};
use crate::config::types::{Config, Profile};
use crate::error::in_words;
use crate::event::Event;
use crate::git::Git;
use crate::git::exclude::Scope;
use crate::output;
use crate::store::event_log::EventLog;
use crate::store::layout::Layout;

/// One round's world.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) config: Config,
    pub(super) profile: Profile,
    pub(super) log: EventLog,
    pub(super) git: Git,
    /// The work tree less our own log dir.
    pub(super) scope: Scope,
    pub(super) round_num: i64,
    pub(super) failpoint: Failpoint,
}

impl Scene {
    pub(super) fn layout(&self) -> &Layout {
        self.log.layout()
    }

    pub(super) fn phase(&self) -> Option<&str> {
        self.profile.phase.as_deref()
    }

    pub(super) fn work_dir(&self) -> &PathBuf {
        &self.config.runtime.work_dir
    }

    /// Appends an event; a log that cannot be written never ends a round.
    pub(super) fn emit(&self, event: &Event) {
        self.log.append(event);
    }

    pub(super) fn reach(&self, step: Step) {
        self.failpoint.reach(step);
    }

    /// Tells of a step that failed and that the round does without.
    pub(super) fn tolerate<T, E: std::error::Error>(&self, what: &str, result: Result<T, E>) -> Option<T> {
        let told =
            |error: E| output::note(&format!("R{}: cannot {what}: {}", self.round_num, in_words(&error)));
        result.map_err(told).ok()
    }
}
