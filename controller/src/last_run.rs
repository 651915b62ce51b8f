//! What the last run left to be done again: the hosts that `@failed` and `@unreached` stand for.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use agent_runner_inventory::Remembered;
use serde::{Deserialize, Serialize};

use crate::output::recap::{Recap, Status};

/// The file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
struct LastRun {
    failed: Vec<String>,
    unreached: Vec<String>,
}

/// Returns where the memory is kept: one file per fleet below the user's state folder.
pub fn path(state: &Path, fleet: &str) -> PathBuf {
    state.join("agent-runner-fleet").join(format!("{fleet}.last-run.json"))
}

/// Returns what the last run left; nothing remembered where there was none or its file is damaged.
pub fn read(path: &Path) -> Remembered {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match serde_json::from_str::<LastRun>(&text) {
        Ok(last) => Remembered { failed: Some(last.failed), unreached: Some(last.unreached) },
        Err(_) => Remembered::default(),
    }
}

/// Remembers what a run left. `@failed` names every host that has to be done again, unreached ones included.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, recap: &Recap) -> std::io::Result<()> {
    let with = |statuses: &[Status]| -> Vec<String> {
        let chosen = recap.results.iter().filter(|result| statuses.contains(&result.status));
        chosen.map(|result| result.host.clone()).collect()
    };
    let last = LastRun {
        failed: with(&[Status::Failed, Status::Reverted, Status::Unreachable]),
        unreached: with(&[Status::Unreachable]),
    };
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    agent_runner::store::atomic::replace_json(path, &last)
}
