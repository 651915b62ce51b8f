//! `round-context.json`: what the agent is told about its round.

use std::io;

use serde::Serialize;

use super::atomic;
use super::layout::Layout;

/// The context of one round, keys in the order of the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoundContext {
    /// The round's number.
    pub round_num: i64,
    /// When it started.
    pub started_at: String,
    /// Its phase, with phases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The newest stash of unclaimed work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphan_stash: Option<OrphanStash>,
    /// How the previous round ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// What the critic said after the previous round.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub critic_findings: Vec<Finding>,
}

/// One advice of the critic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// What the critic calls the kind of finding.
    pub detector: String,
    /// What it found.
    pub message: String,
    /// What it would do; may be empty.
    pub suggested_action: String,
}

/// A stash that holds work of an earlier round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrphanStash {
    /// The stash commit.
    pub r#ref: String,
    /// Its message.
    pub message: String,
    /// The paths that were dirty, as many as a prompt should carry.
    pub files: Vec<String>,
    /// How many more there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_omitted: Option<usize>,
}

/// The previous round, from status.json.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Previous {
    /// The agent's code.
    pub exit_code: Option<i64>,
    /// The agent's wall time in seconds.
    pub duration_s: Option<f64>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Whether unclaimed work existed when this round started.
    pub had_dirty_tree: bool,
}

impl RoundContext {
    /// Returns the text of the file, which is also the text in the prompt.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a context is text and numbers and always serialises")
    }
}

/// Replaces the context of a log dir.
///
/// # Errors
/// As [`atomic::replace`].
pub fn write(layout: &Layout, context: &RoundContext) -> io::Result<()> {
    atomic::replace(&layout.round_context(), context.to_json().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_order_and_nulls_only_within_previous() {
        let context = RoundContext {
            round_num: 2,
            started_at: "t".into(),
            phase: None,
            orphan_stash: None,
            previous: Some(Previous {
                exit_code: None,
                duration_s: Some(1.0),
                ended_at: None,
                had_dirty_tree: true,
            }),
            critic_findings: Vec::new(),
        };
        let expected = "{\n  \"round_num\": 2,\n  \"started_at\": \"t\",\n  \"previous\": {\n    \"exit_code\": null,\n    \"duration_s\": 1.0,\n    \"ended_at\": null,\n    \"had_dirty_tree\": true\n  }\n}";
        assert_eq!(context.to_json(), expected);
    }
}
