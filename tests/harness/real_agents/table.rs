//! The table of docs/agents.md, made from the recordings.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::case::Case;
use super::recording::{Outcome, Recording, folder};

/// What stands before and after the table.
const BEGIN: &str = "<!-- from tests/fixtures/agents: AGENT_RUNNER_WRITE_DOCS=1 cargo test -p agent-runner-tests --test agents -->\n";
const END: &str = "<!-- end of what is made from recordings -->\n";

/// Names of the folders with recordings, sorted: `CLI-VERSION`.
///
/// # Errors
/// When they cannot be listed.
pub fn recorded() -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(folder())?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    Ok(names)
}

/// The document with its table renewed.
///
/// # Errors
/// When the document has no place for it, or a recording cannot be read.
pub fn renewed(document: &str) -> anyhow::Result<String> {
    let (head, rest) = document.split_once(BEGIN).context("the table has no beginning")?;
    let (_, tail) = rest.split_once(END).context("the table has no end")?;
    Ok(format!("{head}{BEGIN}{}{END}{tail}", table()?))
}

fn table() -> anyhow::Result<String> {
    let names = recorded()?;
    let titles: Vec<String> = names.iter().map(|name| name.replace('-', " ")).collect();
    let mut text = format!("| the provider | {} |\n", titles.join(" | "));
    text.push_str(&format!("| --- |{}\n", " --- |".repeat(names.len())));
    for case in Case::all() {
        let cells: Vec<String> = names.iter().map(|name| cell(&folder().join(name), case)).collect();
        text.push_str(&format!("| {} | {} |\n", case.told(), cells.join(" | ")));
    }
    Ok(text)
}

fn cell(folder: &Path, case: Case) -> String {
    match Recording::load(folder, case.name()) {
        Ok(recording) => told(&recording.outcome),
        Err(_) => "not recorded".into(),
    }
}

/// What one round came to, in a few words.
#[must_use]
pub fn told(outcome: &Outcome) -> String {
    let end = match (outcome.exit_cause.as_str(), outcome.exit_code) {
        ("timeout", _) => "wall clock".to_owned(),
        ("stopped", _) => "stopped".to_owned(),
        (_, code) => format!("exit {code}"),
    };
    let mut parts = vec![end];
    parts.extend(outcome.read.iter().filter_map(what));
    let has = |kind: &str| outcome.round_events.iter().any(|told| told == kind);
    if has("orphan_stashed") {
        parts.push("tree stashed".into());
    } else if has("dirty_detected") {
        parts.push("tree kept for the next round".into());
    }
    parts.extend(outcome.also.iter().cloned());
    parts.join(", ")
}

fn what(event: &Value) -> Option<String> {
    let text = |key: &str| event[key].as_str().unwrap_or("");
    match text("event") {
        "agent_usage_recorded" if event["output_tokens"] == 0 => None,
        "agent_usage_recorded" => Some("usage".into()),
        "transient_error_detected" => {
            Some(format!("`{}` for {} s", text("classification"), event["reset_in_s"]))
        }
        "agent_auth_error_detected" => Some("**login refused**".into()),
        "agent_network_blip" => Some("network".into()),
        "anomaly_repetitive_tool" => Some("repetition".into()),
        "provider_output_unrecognised" => Some("not recognised".into()),
        other => Some(other.to_owned()),
    }
}
