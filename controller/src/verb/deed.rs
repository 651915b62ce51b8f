//! The record of what a person had done on hosts beside rollouts: `stop`, `exec` and their like.

use agent_runner::masking::mask_and_cut;
use agent_runner_inventory::Inventory;

use super::Ctx;
use super::order::recorded_in;
use crate::error::Exit;
use crate::output::recap::Recap;
use crate::runs::{self, Begin, Recorder};
use crate::targets::Target;

/// The most of a command that is written down, in characters.
const COMMAND: usize = 1000;

/// What is about to be done.
#[derive(Debug)]
pub(crate) struct Deed<'a> {
    /// The verb.
    pub(crate) verb: &'a str,
    /// The projects that were named; none is all.
    pub(crate) projects: &'a [String],
    /// What is run, for verbs that run what they are told.
    pub(crate) command: Option<&'a str>,
}

/// A deed that is being done, and its name.
#[derive(Debug)]
pub(crate) struct Doing {
    record: Recorder,
    pub(crate) run: String,
}

impl Ctx {
    /// Writes down who is about to do what on which hosts; where there is no place for it, one line says so.
    pub(crate) fn begin(&self, inventory: &Inventory, targets: &[Target], deed: &Deed<'_>) -> Doing {
        let by = self.by();
        let begin = Begin {
            projects: deed.projects.to_vec(),
            hosts: targets.iter().map(|target| target.name.to_string()).collect(),
            command: deed.command.map(|command| mask_and_cut(command, COMMAND)),
            ..Begin::now(&by, deed.verb, &inventory.fleet.name)
        };
        let folder = dirs::state_dir().map(|state| runs::deeds(&state, &begin.fleet));
        Doing { record: recorded_in(folder.as_deref(), &begin), run: by.run }
    }
}

impl Doing {
    /// Writes down how it ended: on each host, and as a whole.
    pub(crate) fn end(&self, recap: &Recap, exit: Exit) {
        recap.results.iter().for_each(|result| self.record.host(result, None));
        self.record.end(exit.code());
    }
}
