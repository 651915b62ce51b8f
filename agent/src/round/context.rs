//! What the agent is told about its round: pure.

use crate::store::orphan_state::OrphanState;
use crate::store::round_context::{OrphanStash, Previous, RoundContext};
use crate::store::status::Status;

/// Paths of an orphan that the prompt carries; an argument has its limits.
const FILES_MAX: usize = 200;

/// The round that starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starting {
    /// Its number.
    pub round_num: i64,
    /// When it starts.
    pub started_at: String,
    /// Its phase.
    pub phase: Option<String>,
}

/// Builds the context from what the log dir remembers.
pub fn build(starting: Starting, status: Option<&Status>, orphans: Option<&OrphanState>) -> RoundContext {
    let stash = orphans.map(|state| &state.newest).and_then(|orphan| {
        Some(OrphanStash {
            r#ref: orphan.stashed_ref.clone()?,
            message: orphan.stash_message.clone().unwrap_or_default(),
            files: orphan.files.iter().take(FILES_MAX).cloned().collect(),
            files_omitted: orphan.files.len().checked_sub(FILES_MAX).filter(|&more| more > 0),
        })
    });
    let previous = status.map(|status| Previous {
        exit_code: status.last_exit_code,
        duration_s: status.last_duration_s,
        ended_at: status.last_completed_at.clone(),
        had_dirty_tree: orphans.is_some(),
    });
    RoundContext {
        round_num: starting.round_num,
        started_at: starting.started_at,
        phase: starting.phase,
        orphan_stash: stash,
        previous,
        critic_findings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::orphan_state::Orphan;

    fn starting() -> Starting {
        Starting { round_num: 5, started_at: "t".into(), phase: None }
    }

    fn orphans(stashed_ref: Option<&str>) -> OrphanState {
        let newest = Orphan {
            round_num: 4,
            files: vec!["a".into()],
            stashed_ref: stashed_ref.map(str::to_owned),
            stash_message: Some("ORPHAN R4".into()),
            timestamp: "t".into(),
            phase: None,
        };
        OrphanState { newest, earlier: Vec::new() }
    }

    #[test]
    fn a_first_round_knows_nothing() {
        let context = build(starting(), None, None);
        assert_eq!((context.orphan_stash, context.previous), (None, None));
    }

    #[test]
    fn an_orphan_without_a_stash_only_tells_that_the_tree_was_dirty() {
        let status = Status {
            round_num: 4,
            running: false,
            last_completed_at: None,
            last_exit_code: Some(0),
            last_duration_s: None,
            current_phase: None,
            phase_index: None,
        };
        let without = build(starting(), Some(&status), Some(&orphans(None)));
        assert_eq!(without.orphan_stash, None);
        assert!(without.previous.unwrap().had_dirty_tree);
        let with = build(starting(), Some(&status), Some(&orphans(Some("abc"))));
        assert_eq!(with.orphan_stash.unwrap().r#ref, "abc");
    }

    #[test]
    fn a_huge_orphan_does_not_make_a_huge_prompt() {
        let mut state = orphans(Some("abc"));
        state.newest.files = vec!["x".to_owned(); 1000];
        let stash = build(starting(), None, Some(&state)).orphan_stash.unwrap();
        assert_eq!((stash.files.len(), stash.files_omitted), (FILES_MAX, Some(1000 - FILES_MAX)));
    }
}
