//! The dirty tree after a round: told, then stashed, committed or left. Nothing of the operator's is lost.

use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;

use super::failpoint::Step;
use super::outcome::AgentEnd;
use super::rearranged::is_rearranged;
use super::scene::Scene;
use crate::config::types::DirtyAction;
use crate::error::in_words;
use crate::event::Event;
use crate::git::blobs::Blob;
use crate::git::snapshot::reference;
use crate::git::stash::Stash;
use crate::git::status::Dirty;
use crate::git::{Git, GitError};
use crate::masking::mask_and_cut;
use crate::store::orphan_state::{self, Orphan, OrphanState};
use crate::store::{regular, time};

/// Paths listed in an event.
const LISTED_MAX: usize = 20;

/// Characters kept of why something failed.
const REASON_MAX: usize = 200;

/// The largest file that is compared line by line, in bytes.
const COMPARED_MAX: u64 = 1 << 20;

/// Records what is dirty before the agent starts; returns the reference, when anything is. Failing costs the
/// reference, not the round.
pub(super) fn record_before(scene: &Scene) -> Option<String> {
    scene.git.place()?;
    let dirty = scene.tolerate("see what is dirty", scene.git.status(&scene.scope))?;
    if dirty.is_empty() {
        return None;
    }
    let index = scene.layout().before_index();
    let recorded = scene.git.record_before(scene.round_num, &scene.scope, &index);
    scene.tolerate("record what is dirty before the round", recorded)
}

/// Looks at the tree after the agent and deals with what it finds.
pub(super) fn settle(scene: &Scene, end: &AgentEnd, before_ref: Option<&str>) {
    if scene.git.place().is_none() {
        return;
    }
    match scene.git.status(&scene.scope) {
        Err(error) if error.is_time_out() => {
            let reason = cut(&in_words(&error));
            scene.emit(&Event::DirtyCheckFailed { round_num: scene.round_num, reason });
            lock_cleared(scene, &error);
        }
        // Counts as clean, but what is unclaimed stays recorded: the agent may have removed the repository.
        Err(error) => {
            scene.tolerate::<(), _>("see what is dirty", Err(error));
        }
        Ok(dirty) if dirty.is_empty() => {
            scene.tolerate("forget the orphans", orphan_state::remove(scene.layout()));
        }
        Ok(dirty) => {
            let files: Vec<String> = listed(&dirty);
            let rearranged = rearranged(scene, &dirty);
            let rearranged = (!rearranged.is_empty()).then_some(rearranged);
            scene.emit(&Event::DirtyDetected { round_num: scene.round_num, files, rearranged });
            scene.reach(Step::DirtyDetected);
            if end.leaves_its_tree() {
                match scene.config.vcs.dirty_action {
                    DirtyAction::Stash => stash(scene, &dirty, before_ref),
                    DirtyAction::AutoCommit => commit(scene, &dirty),
                    DirtyAction::Ignore => {}
                }
            }
        }
    }
}

/// Returns whether a stash's message is the one of a round: `ORPHAN R1` is not that of round 10.
pub(super) fn belongs_to(message: &str, round_num: i64) -> bool {
    let mut words = message.split(' ');
    words.next() == Some("ORPHAN") && words.next() == Some(&format!("R{round_num}"))
}

/// Returns the phase that a stash's message names.
pub(super) fn phase_of(message: &str) -> Option<String> {
    message.split(' ').find_map(|word| word.strip_prefix("phase=")).map(str::to_owned)
}

/// A stash that becomes the newest orphan.
pub(super) struct Recorded {
    pub(super) round_num: i64,
    pub(super) phase: Option<String>,
    pub(super) files: Vec<String>,
    pub(super) stash: Stash,
    pub(super) at: Timestamp,
}

/// Names a stash in orphan-state.json, puts the operator's files back, and tells.
pub(super) fn record(scene: &Scene, recorded: Recorded, reason: &str) {
    let sha = recorded.stash.sha.clone();
    let round_num = recorded.round_num;
    name_orphan(scene, recorded);
    scene.reach(Step::OrphanState);
    let before_ref = put_back(scene, round_num);
    scene.reach(Step::PutBack);
    scene.emit(&Event::OrphanStashed { round_num, r#ref: sha, reason: reason.to_owned(), before_ref });
}

/// Puts edits to agent-runner.toml and to prompt files back that were there before the round and that a stash has taken.
/// Only files that are now as they were in HEAD then are touched. Returns the round's reference, when there is one.
pub(super) fn put_back(scene: &Scene, round_num: i64) -> Option<String> {
    let reference = reference(round_num);
    let parent = format!("{reference}^");
    let edited = match scene.git.changed_between(&parent, &reference, &operators_files(scene)) {
        // No such reference: nothing was dirty before the round.
        Err(GitError::Failed { .. }) => return None,
        other => scene.tolerate("compare the operator's files", other)?,
    };
    if edited.is_empty() {
        return Some(reference);
    }
    let committed = scene.git.changed_between(&parent, "HEAD", &edited);
    let committed = scene.tolerate("compare the operator's files", committed)?;
    let dirty = scene.tolerate("see what is dirty", scene.git.status(&scene.scope))?;
    let is_lost = |path: &String| !committed.contains(path) && dirty.iter().all(|one| one.path != *path);
    let lost: Vec<String> = edited.into_iter().filter(is_lost).collect();
    if !lost.is_empty() {
        scene.tolerate("put the operator's files back", scene.git.restore(&reference, &lost));
    }
    Some(reference)
}

fn operators_files(scene: &Scene) -> Vec<String> {
    let config = &scene.config;
    let phases = config.phases.overrides.values().filter_map(|phase| phase.prompt_files.as_ref());
    let paths = [&config.path].into_iter().chain(&config.prompt.files).chain(phases.flatten());
    let mut files: Vec<String> = paths.filter_map(|path| scene.git.relative(path)).collect();
    files.sort();
    files.dedup();
    files
}

fn stash(scene: &Scene, dirty: &[Dirty], before_ref: Option<&str>) {
    if let Err(error) = try_stash(scene, dirty, before_ref) {
        let reason = cut(&in_words(&error));
        let phase = scene.phase().map(str::to_owned);
        scene.emit(&Event::OrphanStashFailed { round_num: scene.round_num, phase, reason });
        lock_cleared(scene, &error);
    }
}

fn try_stash(scene: &Scene, dirty: &[Dirty], before_ref: Option<&str>) -> Result<(), GitError> {
    const REASON: &str = "clean_exit_with_dirty_tree";
    let round_num = scene.round_num;
    let now = Timestamp::now();
    let phase = scene.phase().map(str::to_owned);
    let recorded = |stash: Stash| Recorded { round_num, phase, files: paths(dirty), stash, at: now };
    if let Some(newest) = scene.git.newest_stash()?
        && belongs_to(&newest.message, round_num)
        && is_recent(&newest, now, scene.config.vcs.stash_idempotency_s)
    {
        let sha = newest.sha.clone();
        name_orphan(scene, recorded(newest));
        scene.emit(&Event::OrphanIdempotentSkip { round_num, r#ref: sha, reason: REASON.to_owned() });
        return Ok(());
    }
    let suffix = scene.phase().map_or_else(String::new, |phase| format!(" phase={phase}"));
    let message = format!("ORPHAN R{round_num}{suffix} ts={}", now.strftime("%Y-%m-%dT%H:%M:%S"));
    scene.git.stash_push(&message, &scene.scope)?;
    scene.reach(Step::StashMade);
    // Only paths outside our scope were dirty: nothing was stashed.
    if let Some(stash) = scene.git.newest_stash()?.filter(|stash| stash.message.contains(&message)) {
        record(scene, recorded(stash), REASON);
    } else if before_ref.is_some() {
        put_back(scene, round_num);
    }
    Ok(())
}

fn commit(scene: &Scene, dirty: &[Dirty]) {
    match try_commit(scene) {
        Ok(None) => {}
        Ok(Some(sha)) => {
            let round_num = scene.round_num;
            scene.emit(&Event::DirtyAutoCommitted { round_num, files: listed(dirty), r#ref: sha });
            scene.tolerate("forget the orphans", orphan_state::remove(scene.layout()));
        }
        Err(error) => {
            let reason = cut(&in_words(&error));
            let phase = scene.phase().map(str::to_owned);
            scene.emit(&Event::DirtyCommitFailed { round_num: scene.round_num, phase, reason });
            lock_cleared(scene, &error);
        }
    }
}

fn try_commit(scene: &Scene) -> Result<Option<String>, GitError> {
    scene.git.add_all(&scene.scope)?;
    if !scene.git.has_staged()? {
        return Ok(None);
    }
    let phase = scene.phase().map_or_else(String::new, |phase| format!(" {phase}"));
    scene.git.commit(&format!("agent-runner auto-commit: R{}{phase}", scene.round_num)).map(Some)
}

fn name_orphan(scene: &Scene, recorded: Recorded) {
    let orphan = Orphan {
        round_num: recorded.round_num,
        files: recorded.files,
        stashed_ref: Some(recorded.stash.sha),
        stash_message: Some(recorded.stash.message),
        timestamp: time::stamp(recorded.at),
        phase: recorded.phase,
    };
    let before = orphan_state::read(scene.layout()).usable();
    let state = OrphanState::followed_by(before, orphan);
    scene.tolerate("write orphan-state.json", orphan_state::write(scene.layout(), &state));
}

fn is_recent(stash: &Stash, now: Timestamp, within_s: u64) -> bool {
    let age_s = now.as_second() - stash.made_at;
    // git's stamps have whole seconds; a stash from the future is none of this round's.
    (-1..=i64::try_from(within_s).unwrap_or(i64::MAX)).contains(&age_s)
}

/// Returns the files among the first listed ones whose lines only moved.
fn rearranged(scene: &Scene, dirty: &[Dirty]) -> Vec<String> {
    let Some(place) = scene.git.place() else { return Vec::new() };
    let candidates: Vec<(&str, PathBuf)> = dirty
        .iter()
        .take(LISTED_MAX)
        .filter(|one| one.is_modified)
        .map(|one| (one.path.as_str(), place.top.join(&one.path)))
        .filter(|(_, path)| {
            fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= COMPARED_MAX)
        })
        .collect();
    if candidates.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = candidates.iter().map(|(name, _)| *name).collect();
    let blobs = scene.tolerate("read the files of HEAD", blobs(&scene.git, &names)).unwrap_or_default();
    let moved = |(path, blob): (&PathBuf, &Blob)| match blob {
        Blob::Missing => false,
        Blob::Content { bytes, .. } => {
            regular::read(path, COMPARED_MAX).is_ok_and(|now| is_rearranged(bytes, &now))
        }
    };
    candidates
        .iter()
        .zip(&blobs)
        .filter(|((_, path), blob)| moved((path, blob)))
        .map(|((name, _), _)| (*name).to_owned())
        .collect()
}

fn blobs(git: &Git, names: &[&str]) -> Result<Vec<Blob>, GitError> {
    git.blobs("HEAD", names)
}

fn lock_cleared(scene: &Scene, error: &GitError) {
    if let Some(lock) = error.removed_lock() {
        let lock_path = lock.display().to_string();
        scene.emit(&Event::StaleIndexLockCleared { lock_path, round_num: scene.round_num });
    }
}

fn listed(dirty: &[Dirty]) -> Vec<String> {
    dirty.iter().take(LISTED_MAX).map(|one| one.path.clone()).collect()
}

fn paths(dirty: &[Dirty]) -> Vec<String> {
    dirty.iter().map(|one| one.path.clone()).collect()
}

fn cut(reason: &str) -> String {
    mask_and_cut(reason, REASON_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_one_is_not_round_ten() {
        assert!(belongs_to("ORPHAN R1 ts=x", 1));
        assert!(belongs_to("ORPHAN R1", 1));
        assert!(belongs_to("ORPHAN R10 phase=a ts=x", 10));
        for other in ["ORPHAN R10 ts=x", "ORPHAN R1x", "xORPHAN R1", "ORPHAN  R1", "WIP on main"] {
            assert!(!belongs_to(other, 1), "{other}");
        }
        assert_eq!(phase_of("ORPHAN R10 phase=a ts=x").as_deref(), Some("a"));
        assert_eq!(phase_of("ORPHAN R10 ts=x"), None);
    }

    #[test]
    fn a_stash_is_recent_within_the_window_only() {
        let now = Timestamp::from_second(1000).unwrap();
        let stash = |made_at| Stash { sha: "a".into(), made_at, message: String::new() };
        assert!(is_recent(&stash(995), now, 5) && is_recent(&stash(1000), now, 5));
        assert!(!is_recent(&stash(994), now, 5) && !is_recent(&stash(1010), now, 5));
    }
}
