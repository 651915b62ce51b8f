//! The rewrites, all of them in one pass.

use toml_edit::{DocumentMut, Item, Table, Value};

use super::edit::{Outcome, Wrap, at, push_down, remove, rename, wrap};
use crate::config::keys::SCHEMA_VERSION;

/// Flat keys of `[monitor.host_health]`: old name, table, new name.
const HOST_HEALTH: [(&str, &str, &str); 9] = [
    ("mem_avail_min_mb", "memory", "avail_min_mb"),
    ("mem_free_low_mb", "memory", "free_low_mb"),
    ("swap_sout_noise_floor_mb", "memory", "swap_out_noise_floor_mb"),
    ("disk_warning_pct", "disk", "warning_pct"),
    ("disk_critical_pct", "disk", "critical_pct"),
    ("psi_full_avg10_critical", "pressure", "full_avg10_critical"),
    ("psi_some_avg10_warning", "pressure", "some_avg10_warning"),
    ("mem_critical_consecutive_samples", "pressure", "critical_consecutive_samples"),
    ("in_round_mem_terminate", "pressure", "in_round_terminate"),
];

/// Names of output readers that are presets now.
const OLD_PLUGINS: &str = "_error_detector";
const OLD_PLUGIN: &str = "claude_rate_limit";

/// Applies every rewrite once.
pub(super) fn pass(document: &mut DocumentMut) -> Outcome {
    let mut outcome = Outcome::default();
    let root = document.as_table_mut();
    rename(root, &["runtime"], ("rate_limit_action", "transient_error_action"), &mut outcome);
    rename(root, &["vcs"], ("orphan_action", "dirty_action"), &mut outcome);
    remove(root, &["runtime"], "disable_pre_round_hooks", &mut outcome);
    for names in HOST_HEALTH {
        push_down(root, &["monitor", "host_health"], names, &mut outcome);
    }
    wrap(root, &["agent"], ("command", Wrap::Word), &mut outcome);
    wrap(root, &["agent"], ("prompt_arg_template", Wrap::Word), &mut outcome);
    for (table, key) in
        [("phases", "list"), ("prompt", "files"), ("monitor", "auto_stop_on"), ("plugins", "disable")]
    {
        wrap(root, &[table], (key, Wrap::Any), &mut outcome);
    }
    for phase in phases(root) {
        let phase = phase.as_str();
        remove(root, &["phases", phase], "disable_pre_round_hooks", &mut outcome);
        remove(root, &["phases", phase, "runtime"], "disable_pre_round_hooks", &mut outcome);
        wrap(root, &["phases", phase, "agent"], ("command", Wrap::Word), &mut outcome);
        wrap(root, &["phases", phase, "agent"], ("prompt_arg_template", Wrap::Word), &mut outcome);
        wrap(root, &["phases", phase, "prompt"], ("files", Wrap::Any), &mut outcome);
        if at(root, &["phases", phase]).is_some_and(|table| table.contains_key("round_budget_s")) {
            let place = format!("[phases.{phase}.runtime] round_budget_s");
            outcome
                .notes
                .push(format!("phases.{phase}.round_budget_s still works; its newer place is {place}"));
        }
    }
    old_plugins(root, &mut outcome);
    version(root, &mut outcome);
    outcome
}

fn phases(root: &mut Table) -> Vec<String> {
    let Some(phases) = at(root, &["phases"]) else { return Vec::new() };
    phases.iter().filter(|(_, item)| item.is_table_like()).map(|(name, _)| name.to_owned()).collect()
}

fn old_plugins(root: &mut Table, outcome: &mut Outcome) {
    let list = at(root, &["plugins"]).and_then(|table| table.get("disable")?.as_array().cloned());
    for name in list.iter().flat_map(|list| list.iter()).filter_map(Value::as_str) {
        if name.ends_with(OLD_PLUGINS) || name == OLD_PLUGIN {
            let new = name.strip_suffix(OLD_PLUGINS).unwrap_or("claude");
            outcome.manual.push(format!("`plugins.disable` names `{name}`, which is now called \"{new}\""));
        }
    }
}

/// Stamps the version; an unusable one is replaced in place, a newer one is never lowered.
fn version(root: &mut Table, outcome: &mut Outcome) {
    match root.get_mut("schema_version") {
        None => {
            outcome.stamp = true;
            outcome.applied.push(format!("schema_version = {SCHEMA_VERSION} added"));
        }
        Some(Item::Value(value)) if value.as_integer().is_none_or(|number| number < SCHEMA_VERSION) => {
            let mut stamped = Value::from(SCHEMA_VERSION);
            *stamped.decor_mut() = value.decor().clone();
            *value = stamped;
            outcome.applied.push(format!("schema_version = {SCHEMA_VERSION}"));
        }
        // A newer one, and what is no value at all, is told by the parser.
        Some(_) => {}
    }
}
