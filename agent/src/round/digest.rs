//! What a round runs with, as one hash: which prompt did round 412 run? Holds no prompt text and no value of a variable.

use std::path::Path;

use serde_json::{Value, json};

use super::prompt::FILE_MAX;
use crate::config::types::{Config, Delivery, Profile};
use crate::sha256;
use crate::store::backward::records;
use crate::store::layout::Layout;
use crate::store::regular;

/// Lines searched for the digest of the previous round.
const LINES_MAX: usize = 50_000;

/// Returns the configuration's word for a delivery.
pub fn delivery_name(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Argv => "argv",
        Delivery::Stdin => "stdin",
    }
}

/// Returns the digest of what a round of this profile runs with. Reads the prompt files.
pub fn digest(config: &Config, profile: &Profile) -> String {
    let files: Vec<Value> =
        profile.prompt_files.iter().map(|path| json!([path.to_string_lossy(), hash_of(path)])).collect();
    of(config, profile, &Value::Array(files))
}

/// Returns the digest of the round that was started last, when one of the newest lines of the log tells it.
pub fn newest(layout: &Layout) -> Option<String> {
    let start = records(layout.events_files()).take(LINES_MAX).find(|record| record.kind == "round_start")?;
    start.str("config_digest").map(str::to_owned)
}

fn of(config: &Config, profile: &Profile, files: &Value) -> String {
    let checks: Vec<Value> = config
        .goal
        .iter()
        .flat_map(|goal| &goal.checks)
        .map(|check| json!([check.name, check.cmd]))
        .collect();
    // serde_json's maps are sorted, and so is the environment: the same configuration is always the same text.
    let canonical = json!({
        "prompt_files": files,
        "checks": checks,
        "dirty_action": config.vcs.dirty_action.as_str(),
        "prompt_delivery": delivery_name(profile.agent.prompt_delivery),
        "agent_env": profile.agent.env,
    });
    sha256::of(canonical.to_string())
}

fn hash_of(path: &Path) -> Option<String> {
    regular::read(path, FILE_MAX).ok().map(sha256::of)
}
