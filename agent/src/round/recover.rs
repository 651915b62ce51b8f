//! What a round that died left behind: its agent, and a stash that nothing names. Never two agents on one tree.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::dirty::{self, Recorded};
use super::error::RoundError;
use super::scene::Scene;
use crate::output;
use crate::process::identity::Identity;
use crate::process::orphans::{end_strays, own_lineage};
use crate::process::program;
use crate::process::stat;
use crate::process::tree::{self, Descendant};
use crate::store::holder::Holder;
use crate::store::orphan_state;
use crate::store::state::Read;
use crate::store::time;

/// How long a stray may take to follow TERM.
const GRACE: Duration = Duration::from_secs(5);

/// Ends every process of the round that left this holder file. Recognised are the recorded agent with everything below
/// it, its session, and every process that was started with this log dir (and, when known, that round's number) in
/// its environment, wherever it moved.
///
/// # Errors
/// When some do not end, even after KILL: no agent may start beside them.
pub(super) fn end_strays_of(left: &Read<Holder>, log_dir: &Path) -> Result<(), RoundError> {
    let holder = match left {
        Read::Missing => return Ok(()),
        Read::Unusable(_) => None,
        Read::Usable(holder) => Some(holder),
    };
    let spared = Spared { lineage: own_lineage(), program: std::fs::read_link("/proc/self/exe").ok() };
    let leftovers = end_strays(GRACE, || find(holder, log_dir, &spared));
    if !leftovers.found.is_empty() {
        let names: Vec<String> =
            leftovers.found.iter().take(5).map(|stray| format!("{} ({})", stray.name, stray.pid)).collect();
        output::note(&format!("ended what a dead round left running: {}", names.join(", ")));
    }
    if leftovers.all_gone {
        return Ok(());
    }
    let alive: Vec<&Descendant> = leftovers.found.iter().filter(|stray| stray.is_alive()).collect();
    Err(RoundError::Strays { count: alive.len(), pid: alive.first().map_or(0, |stray| stray.pid) })
}

/// Records the stash that a dead round made but did not live to name, and puts the operator's files back.
pub(super) fn adopt_stash(scene: &Scene, left: &Read<Holder>) {
    let Read::Usable(holder) = left else { return };
    let (Some(round_num), Some(started)) = (holder.round_num, time::parse(&holder.started_at)) else {
        return;
    };
    let Some(Some(stash)) = scene.tolerate("read the stash", scene.git.newest_stash()) else { return };
    if !dirty::belongs_to(&stash.message, round_num) || stash.made_at < started.as_second() {
        return;
    }
    let state = orphan_state::read(scene.layout()).usable();
    let is_named = state
        .iter()
        .flat_map(|state| [&state.newest].into_iter().chain(&state.earlier))
        .any(|orphan| orphan.stashed_ref.as_deref() == Some(&stash.sha));
    if is_named {
        dirty::put_back(scene, round_num);
        return;
    }
    let files = scene.tolerate("list the stash", scene.git.stash_files(&stash.sha)).unwrap_or_default();
    let phase = dirty::phase_of(&stash.message);
    let recorded = Recorded { round_num, phase, files, stash, at: Timestamp::now() };
    dirty::record(scene, recorded, "left_by_a_killed_round");
}

struct Spared {
    lineage: Vec<i32>,
    program: Option<PathBuf>,
}

impl Spared {
    /// Returns whether a process may not be ended: we, those above us, and other supervisors, which do not hold the lock
    /// and so are no part of the dead round.
    fn covers(&self, pid: i32) -> bool {
        let is_own_program = || self.program.is_some() && program::name(pid) == self.program;
        self.lineage.contains(&pid) || is_own_program()
    }
}

fn find(holder: Option<&Holder>, log_dir: &Path, spared: &Spared) -> Vec<Descendant> {
    let agent = holder.and_then(Holder::agent);
    let mut found = Vec::new();
    if let Some(agent) = agent.filter(Identity::is_alive) {
        found.extend(stat::Stat::read(agent.pid).map(Descendant::from));
        found.extend(tree::descendants(agent.pid));
    }
    let round_num = holder.and_then(|holder| holder.round_num).map(|number| number.to_string());
    let wanted = [
        ("AGENT_RUNNER_LOG_DIR", Some(log_dir.as_os_str().as_bytes())),
        ("AGENT_RUNNER_ROUND_NUM", round_num.as_ref().map(|number| number.as_bytes())),
    ];
    for process in stat::all() {
        let in_session = agent.is_some_and(|agent| {
            process.session == agent.pid && started_with_or_after(agent, &Descendant::from(process.clone()))
        });
        if in_session || tree::has_environment(process.pid, &wanted) {
            found.push(Descendant::from(process));
        }
    }
    found.retain(|process| !spared.covers(process.pid));
    found
}

fn started_with_or_after(agent: Identity, process: &Descendant) -> bool {
    match (agent.create_time, Identity::of(process.pid).and_then(|identity| identity.create_time)) {
        (Some(agent), Some(own)) => own >= agent - 1.0,
        (None, _) | (_, None) => false,
    }
}
