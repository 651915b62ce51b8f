//! Sessions of agents that can go on where they stopped: one id per phase and life of the Loop. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The session ids handed to rounds so far, by phase (empty without phases).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sessions {
    ids: BTreeMap<String, String>,
}

/// The session of one round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The agent's option.
    pub flag: String,
    /// The id.
    pub id: String,
    /// Whether an earlier round used it.
    pub is_resumed: bool,
}

/// Whether a round begins without memory of the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eyes {
    /// It goes on.
    Used,
    /// It begins anew.
    Fresh,
}

impl Sessions {
    /// Returns the session of the next round of a phase; `fresh_id` becomes its id when there is none yet, and when the
    /// round looks with fresh eyes.
    pub fn next(&mut self, phase: Option<&str>, flag: &str, (fresh_id, eyes): (&str, Eyes)) -> Session {
        let key = phase.unwrap_or_default();
        let kept = self.ids.get(key).filter(|_| eyes == Eyes::Used).cloned();
        let is_resumed = kept.is_some();
        let id = kept.unwrap_or_else(|| fresh_id.to_owned());
        self.ids.insert(key.to_owned(), id.clone());
        Session { flag: flag.to_owned(), id, is_resumed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_keeps_its_session_until_a_round_with_fresh_eyes() {
        let mut sessions = Sessions::default();
        let mut next = |phase: Option<&str>, id: &str, eyes| {
            let session = sessions.next(phase, "--session-id", (id, eyes));
            (session.id, session.is_resumed)
        };
        assert_eq!(next(None, "one", Eyes::Used), ("one".into(), false));
        assert_eq!(next(None, "two", Eyes::Used), ("one".into(), true));
        assert_eq!(next(Some("plan"), "three", Eyes::Used), ("three".into(), false));
        assert_eq!(next(None, "four", Eyes::Fresh), ("four".into(), false));
        assert_eq!(next(None, "five", Eyes::Used), ("four".into(), true));
    }
}
