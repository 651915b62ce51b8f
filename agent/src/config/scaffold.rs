//! What `init` writes: agent-runner.toml of a preset, and the first prompt.

use std::fmt::Write as _;

use crate::config::keys::{ROOT, SCHEMA_VERSION, TERMINAL_MARKER};
use crate::config::schema::Table;
use crate::provider::preset::Preset;
use crate::provider::presets::Entry;

/// What all presets share.
const COMMON: &str = r#"
[runtime]
work_dir = "."
log_dir = "~/.agent-runner/{project}/logs"
round_timeout_s = 1800
restart_delay_s = 3

[prompt]
file = "./prompts/main.md"
inject_context = true

[vcs]
dirty_action = "stash"
stash_idempotency_s = 5
"#;

/// The prompt to begin with; long enough for the startup battery.
pub const PROMPT: &str = "\
# What to do

Replace this file by what you want done. It is given to the agent at the start of every round.

The block above, fenced as `json round-context`, is written by agent-runner: the number of this round, how the last
one ended, and what it left behind.

- If `orphan` is set, an earlier round left uncommitted work. It is in a git stash named by its SHA: look with
  `git stash show -p SHA`, and take what is good with `git stash apply SHA`. Never use `stash@{n}`, which moves.
- Work in small steps, commit each, and leave the work tree clean.
- When nothing is left to do, create a file called `.agent-done` in the work tree, and agent-runner stops.
";

/// Returns the text of agent-runner.toml for a project of this name; `None` when the preset only holds rules.
pub fn config_text(entry: &Entry, project: &str) -> Option<String> {
    let preset = entry.preset()?;
    let mut tables: toml::Table = toml::from_str(COMMON).expect("what all presets share is TOML");
    overlay(&mut tables, &preset.config);
    let marker = entry.rules().and_then(|rules| rules.terminal_marker.as_deref());
    if let (Some(marker), Some(toml::Value::Table(agent))) = (marker, tables.get_mut("agent"))
        && marker != TERMINAL_MARKER
    {
        agent.entry("terminal_marker").or_insert_with(|| marker.into());
    }
    let mut text = head(preset);
    for table in ROOT.tables {
        if let Some(toml::Value::Table(values)) = tables.remove(table.key()) {
            write_table(&mut text, table, values);
        }
    }
    // What the table of keys does not know stays in, and is refused when the file is read.
    for (name, value) in tables {
        text.push_str(&format!("\n{name} = {}\n", literal(&value)));
    }
    Some(text.replace("{project}", project))
}

fn head(preset: &Preset) -> String {
    let mut text = format!("# agent-runner: one project, run by {}.\n", preset.title);
    for note in &preset.notes {
        text.push_str(&format!("# {note}\n"));
    }
    text.push_str(&format!("schema_version = {SCHEMA_VERSION}\n"));
    text
}

fn write_table(text: &mut String, table: &Table, mut values: toml::Table) {
    text.push_str(&format!("\n[{}]\n", table.name));
    let known: Vec<&str> = table.all_keys().map(|key| key.name).collect();
    let mut below = Vec::new();
    for name in known.into_iter().map(str::to_owned).chain(values.keys().cloned().collect::<Vec<_>>()) {
        match (values.remove(&name), table.below(&name)) {
            (Some(toml::Value::Table(inner)), Some(table)) => below.push((table, inner)),
            // Writing to a String cannot fail.
            (Some(value), _) => drop(writeln!(text, "{name} = {}", literal(&value))),
            (None, _) => {}
        }
    }
    for (table, inner) in below {
        write_table(text, table, inner);
    }
}

fn literal(value: &toml::Value) -> String {
    edit_value(value).to_string().trim().to_owned()
}

fn edit_value(value: &toml::Value) -> toml_edit::Value {
    match value {
        toml::Value::String(text) => toml_edit::Value::from(text.as_str()),
        toml::Value::Integer(number) => toml_edit::Value::from(*number),
        toml::Value::Float(number) => toml_edit::Value::from(*number),
        toml::Value::Boolean(value) => toml_edit::Value::from(*value),
        toml::Value::Datetime(at) => toml_edit::Value::from(at.to_string()),
        toml::Value::Array(items) => items.iter().map(edit_value).collect(),
        toml::Value::Table(table) => {
            table.iter().map(|(key, value)| (key.as_str(), edit_value(value))).collect()
        }
    }
}

fn overlay(base: &mut toml::Table, over: &toml::Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => overlay(base, over),
            (_, _) => drop(base.insert(key.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::types::{Config, Delivery};
    use crate::provider::Presets;
    use crate::provider::presets::EMBEDDED;

    fn load(name: &str) -> Config {
        let presets = Presets::embedded();
        let text = config_text(presets.get(name).unwrap(), "shelf").unwrap();
        let loaded =
            Config::parse(&text, Path::new("/p/shelf/agent-runner.toml"), Some(Path::new("/home/pi")));
        let loaded = loaded.unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        assert_eq!(loaded.warnings, Vec::<String>::new(), "{name}");
        loaded.config
    }

    #[test]
    fn every_preset_becomes_a_configuration_without_warnings() {
        for entry in Presets::embedded().entries() {
            let config = load(&entry.name);
            assert_eq!(config.agent.identity(), entry.name);
            assert_eq!(config.runtime.log_dir, Path::new("/home/pi/.agent-runner/shelf/logs"));
            assert_eq!((config.runtime.round_budget_s, config.runtime.restart_delay_s), (1800, 3));
            assert_eq!(config.prompt.files, [Path::new("/p/shelf/prompts/main.md").to_owned()]);
            assert!(!config.monitor.auth_fail_hint.is_empty(), "{}", entry.name);
        }
    }

    #[test]
    fn presets_say_what_their_agents_need() {
        use Delivery::{Argv, Stdin};
        // Its name, how the prompt comes, its marker, and its environment. No variable against updates stands where
        // docs/presets.md says why none is needed.
        let expected: [(&str, Delivery, &str, &[&str]); EMBEDDED.len()] = [
            ("aider", Argv, TERMINAL_MARKER, &["AIDER_CHECK_UPDATE=false"]),
            ("claude", Stdin, TERMINAL_MARKER, &["CLAUDE_CODE_EFFORT_LEVEL=xhigh", "DISABLE_AUTOUPDATER=1"]),
            ("codewhale", Argv, r#""type":"metadata""#, &[]),
            ("codex", Stdin, r#""type":"turn.completed""#, &[]),
            ("gemini", Argv, TERMINAL_MARKER, &[]),
            ("kimi", Argv, TERMINAL_MARKER, &["KIMI_CODE_NO_AUTO_UPDATE=1", "KIMI_DISABLE_TELEMETRY=1"]),
            (
                "opencode",
                Argv,
                "",
                &[
                    "OPENCODE_DISABLE_AUTOUPDATE=1",
                    r#"OPENCODE_PERMISSION={"edit":"allow","bash":"allow","webfetch":"allow"}"#,
                ],
            ),
            ("pi", Argv, r#""type":"agent_end""#, &["PI_OFFLINE=1"]),
        ];
        let names = Presets::embedded().entries().iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
        assert_eq!(names, expected.map(|row| row.0));
        for (name, delivery, marker, env) in expected {
            let agent = load(name).agent;
            let set: Vec<_> = agent.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
            assert_eq!((agent.prompt_delivery, agent.terminal_marker.as_str()), (delivery, marker), "{name}");
            assert_eq!(set, env, "{name}");
        }
        let monitor = load("claude").monitor;
        assert_eq!((monitor.anomaly_repetitive_window, monitor.anomaly_repetitive_threshold), (30, 15));
    }

    #[test]
    fn the_first_prompt_passes_the_startup_battery() {
        assert!(PROMPT.len() >= 500, "{}", PROMPT.len());
        assert!(PROMPT.starts_with('#'));
    }
}
