//! A recording: what a CLI printed in one case, how it ended, and what the agent made of it.

use std::fs;
use std::path::{Path, PathBuf};

use agent_runner::provider::{Presets, RoundFacts, scan};
use agent_runner::round::network;
use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::scrub::BEGUN;

/// The largest recording, in bytes.
pub const LOG_MAX: usize = 40 << 10;

/// What stands for the cause when the round was stopped: nobody waits for the CLI's own end then.
pub const STOPPED: &str = "stopped";

/// Everything about a run but what was printed.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// The CLI's exit code as events tell it; negative for a signal.
    pub exit_code: i64,
    /// How it ended, in the words of `agent_exit`.
    pub exit_cause: String,
    /// Whether the wall clock or the grace ended it.
    pub timed_out: bool,
    /// The exit code of `agent-runner round`.
    pub round_code: i32,
    /// Requests that asked the model.
    pub requests: usize,
    /// Whether what it had printed contains the preset's terminal marker.
    pub marker: bool,
    /// What was seen beside the log: `helper killed`, `session continues`, ...
    #[serde(default)]
    pub also: Vec<String>,
    /// What the round told beside what is read from the log: kinds of events.
    pub round_events: Vec<String>,
    /// What is read from the log.
    pub read: Vec<Value>,
}

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// What was printed, scrubbed.
    pub log: Vec<u8>,
    /// The rest.
    pub outcome: Outcome,
}

/// Where the recordings are.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/agents")
}

impl Recording {
    /// Reads one.
    ///
    /// # Errors
    /// When it is not there or not readable.
    pub fn load(folder: &Path, case: &str) -> anyhow::Result<Recording> {
        let log = folder.join(format!("{case}.log"));
        let outcome = folder.join(format!("{case}.json"));
        let text = fs::read_to_string(&outcome).with_context(|| outcome.display().to_string())?;
        Ok(Recording {
            log: fs::read(&log).with_context(|| log.display().to_string())?,
            outcome: serde_json::from_str(&text).with_context(|| outcome.display().to_string())?,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it is too large or cannot be written.
    pub fn save(&self, folder: &Path, case: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.log.len() < LOG_MAX, "{case}: {} bytes are too much to keep", self.log.len());
        fs::create_dir_all(folder)?;
        fs::write(folder.join(format!("{case}.log")), &self.log)?;
        let text = serde_json::to_string_pretty(&self.outcome)? + "\n";
        fs::write(folder.join(format!("{case}.json")), text)?;
        Ok(())
    }
}

/// What the presets of today read from a log: events without what every one of them has.
///
/// # Errors
/// When the log cannot be kept for reading.
pub fn read(agent: &str, log: &[u8], outcome: &Outcome) -> anyhow::Result<Vec<Value>> {
    let presets = Presets::embedded();
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), log)?;
    let round = RoundFacts {
        agent: agent.into(),
        round_num: 1,
        phase: None,
        exit_code: outcome.exit_code,
        timed_out: outcome.timed_out,
        anomaly_window: 30,
        anomaly_threshold: 15,
    };
    let mut found = Vec::new();
    // A round that was stopped is not read.
    if outcome.exit_cause == STOPPED {
        return Ok(found);
    }
    if let Some(rules) = presets.rules_for(agent) {
        for event in scan(file.path(), rules, &round, Timestamp::from_second(BEGUN)?) {
            let mut event = serde_json::to_value(event)?;
            if let Some(fields) = event.as_object_mut() {
                for every in ["agent", "round_num", "phase", "models_breakdown"] {
                    fields.remove(every);
                }
                if let Some(at) = fields.remove("reset_at_epoch").and_then(|at| at.as_i64()) {
                    fields.insert("reset_in_s".into(), json!(at - BEGUN));
                }
            }
            found.push(event);
        }
    }
    // A round that was ended by a signal is not searched.
    if (outcome.exit_code > 0 || outcome.timed_out)
        && let Some(matched) = network::scan(&fs::File::open(file.path())?)?
    {
        found.push(json!({ "event": "agent_network_blip", "matched": matched }));
    }
    Ok(found)
}
