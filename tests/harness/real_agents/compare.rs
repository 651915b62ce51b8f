//! What a CLI does otherwise than it did when it was recorded: how a case ended, and the shapes of its records.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use agent_runner::unified;
use anyhow::Context as _;
use serde_json::Value;

use super::recording::Recording;

/// What is held against the recordings of one CLI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What came of the case; empty when it is the same.
    pub outcome: String,
    /// New and missing records and members, one a line; empty when there is none. What a CLI prints depends on chance
    /// too, so this alone is no fault.
    pub shapes: String,
}

/// The recordings to compare with below `root`: those of this very version, else of the newest one of this CLI.
#[must_use]
pub fn base(root: &Path, name: &str, version: &str) -> Option<PathBuf> {
    let own = root.join(format!("{name}-{version}"));
    if own.is_dir() {
        return Some(own);
    }
    let entries =
        std::fs::read_dir(root).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let versions =
        entries.filter_map(|folder| Some(folder.strip_prefix(name)?.strip_prefix('-')?.to_owned()));
    let newest = versions.max_by_key(|version| numbers(version))?;
    Some(root.join(format!("{name}-{newest}")))
}

fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// What differs between a recording that is kept and a new one.
///
/// # Errors
/// When an outcome cannot be shown.
pub fn difference(kept: &Recording, now: &Recording) -> anyhow::Result<Difference> {
    let outcome = if kept.outcome == now.outcome {
        String::new()
    } else {
        let shown = |recording: &Recording| serde_json::to_string_pretty(&recording.outcome);
        let (old, new) = (shown(kept).context("the kept outcome")?, shown(now).context("the new outcome")?);
        unified::diff(&old, &new, 2, ("kept", "now"))
    };
    Ok(Difference { outcome, shapes: reshaped(&shapes(&kept.log), &shapes(&now.log)) })
}

/// Names of the members a kind of record has, over a whole log.
type Shapes = BTreeMap<String, BTreeSet<String>>;

/// Kinds of records are told apart by `type` (or `role`) and `subtype`; members of a member are `outer.inner`.
fn shapes(log: &[u8]) -> Shapes {
    let mut shapes = Shapes::new();
    for line in log.split(|byte| *byte == b'\n') {
        let Ok(Value::Object(record)) = serde_json::from_slice::<Value>(line) else { continue };
        let named = ["type", "role", "subtype"].iter().filter_map(|key| record.get(*key)?.as_str());
        let kind = named.collect::<Vec<_>>().join(" ");
        let members = shapes.entry(kind).or_default();
        for (key, value) in &record {
            members.insert(key.clone());
            let inner = value.as_object().into_iter().flatten();
            members.extend(inner.map(|(name, _)| format!("{key}.{name}")));
        }
    }
    shapes
}

fn reshaped(kept: &Shapes, now: &Shapes) -> String {
    let mut text = String::new();
    for kind in kept.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
        match (kept.get(kind), now.get(kind)) {
            (Some(_), None) => text.push_str(&format!("-record `{kind}`\n")),
            (old, Some(new)) => {
                let Some(old) = old else {
                    text.push_str(&format!("+record `{kind}`\n"));
                    continue;
                };
                for gone in old.difference(new) {
                    text.push_str(&format!("-record `{kind}`: {gone}\n"));
                }
                for added in new.difference(old) {
                    text.push_str(&format!("+record `{kind}`: {added}\n"));
                }
            }
            (None, None) => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::recording::Outcome;
    use super::*;

    fn recording(log: &str, exit_code: i64) -> Recording {
        let outcome = Outcome {
            exit_code,
            exit_cause: "clean".into(),
            timed_out: false,
            round_code: 0,
            requests: 1,
            marker: true,
            also: Vec::new(),
            round_events: Vec::new(),
            read: Vec::new(),
        };
        Recording { log: log.into(), outcome }
    }

    #[test]
    fn a_version_without_recordings_is_compared_with_the_newest_recorded_one() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["claude-2.1.99", "claude-2.1.330", "claudette-9.0.0", "pi-0.87.1"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        let base = |name, version| {
            let folder = base(root.path(), name, version)?;
            Some(folder.file_name()?.to_str()?.to_owned())
        };
        assert_eq!(base("claude", "2.1.99").as_deref(), Some("claude-2.1.99"));
        assert_eq!(base("claude", "2.2.0").as_deref(), Some("claude-2.1.330"));
        assert_eq!(base("codex", "1.0.0"), None);
    }

    #[test]
    fn a_version_that_renames_a_member_or_a_record_is_shown_by_it() {
        let old = recording(
            "plain text\n{\"type\":\"result\",\"subtype\":\"success\",\"usage\":{\"input\":1}}\n{\"type\":\"init\"}\n",
            0,
        );
        let new = recording(
            "{\"type\":\"result\",\"subtype\":\"success\",\"usage\":{\"in\":1}}\n{\"type\":\"begin\",\"id\":1}\n",
            1,
        );
        let found = difference(&old, &new).unwrap();
        assert!(found.outcome.contains("-  \"exit_code\": 0,\n+  \"exit_code\": 1,\n"), "{}", found.outcome);
        let shapes = "+record `begin`\n-record `init`\n\
            -record `result success`: usage.input\n+record `result success`: usage.in\n";
        assert_eq!(found.shapes, shapes);
        let same = difference(&old, &old.clone()).unwrap();
        assert_eq!(same, Difference { outcome: String::new(), shapes: String::new() });
    }
}
