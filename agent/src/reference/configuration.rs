//! docs/configuration.md, from the table of keys.

use crate::config::keys::ROOT;
use crate::config::schema::{ANY, Alias, Default, Key, Kind, Presence, Range, Table};

const INTRO: &str = r#"# agent-runner.toml

<!-- Made from the parser's own table of keys. Change `agent/src/config/keys.rs`, then run
     `AGENT_RUNNER_WRITE_DOCS=1 cargo test -p agent-runner reference`. -->

One TOML file per project, beside the work tree or in it. `agent-runner init` writes one; `agent-runner doctor` checks
it. `round` reads it afresh every time, `serve` once, `monitor` at every poll.

The smallest useful file:

<!-- run by tests/documents/examples.rs::examples_of_a_configuration_load_without_a_warning -->
```toml
schema_version = 1

[agent]
command = ["claude", "--dangerously-skip-permissions", "--verbose", "--output-format", "stream-json"]
prompt_arg_template = ["-p"]
prompt_delivery = "stdin"

[runtime]
work_dir = "."
log_dir = "~/.agent-runner/{project}/logs"

[prompt]
file = "prompts/main.md"
```

## Rules for every key

- An unknown key or table is an error, with its place and the nearest known name. So is a number out of range: nothing
  is clamped. Several errors are shown at once. Exit code 78.
- A bool is never a number. An integer may stand where a number with a fraction is wanted. Text is never turned into a
  number; in a list of strings, numbers and bools are turned into text (`True`, `1.5`).
- A path may begin with `~`, and `{project}` in it is the name of the work_dir's folder. `work_dir` is relative to the
  folder of the file, every other path to `work_dir`.
- A pattern is a regular expression on bytes, without look-around and without Unicode classes.
- A window is `[DAYS ]HH:MM-HH:MM`, such as `Mon-Fri 22:00-06:00` or `Sat,Sun 00:00-24:00`. The start belongs to it, the
  end does not. One that ends before it starts goes over midnight, and its tail belongs to the day it started on. Days
  are a list without spaces of `Mon` to `Sun` and ascending ranges of them; without days it is every day.
- Relations between keys are checked too: the prompt reaches the agent exactly one way; a phase's agent is checked as a
  whole after its keys were laid over the base; a session flag that the Loop sets itself may not be in a command.
"#;

const OUTRO: &str = r#"
## Older files

`agent-runner migrate` brings a file of an older release to this form and keeps its comments and its layout. The
previous text is left beside it as `agent-runner.toml.bak`; `--dry-run` shows the difference and changes nothing. What
only a person can decide is listed as `MANUAL:`, and the exit code is then 1. Migrating twice changes nothing.

A file without `schema_version` is read as it is, with one warning, as long as every key in it is known. A table `[llm]`
of the first release is ignored with a warning: its successor is `[critic]`.
"#;

/// Returns the page.
pub(super) fn page() -> String {
    let mut page = INTRO.to_owned();
    page.push_str("\n## Top level\n\n");
    keys(&mut page, &ROOT);
    ROOT.tables.iter().for_each(|below| table(&mut page, below));
    page.push_str(OUTRO);
    page
}

fn table(page: &mut String, table: &Table) {
    let (open, close) = if table.presence == Presence::Rows { ("[[", "]]") } else { ("[", "]") };
    page.push_str(&format!("\n## `{open}{}{close}`\n\n{}", table.name, table.doc));
    page.push_str(match table.presence {
        Presence::Required => " Required.",
        Presence::Feature => " Off without this table.",
        Presence::Rows => " As often as you like.",
        Presence::Optional | Presence::PerPhase | Presence::Override => "",
    });
    page.push('\n');
    if table.all_keys().next().is_some() {
        page.push('\n');
        keys(page, table);
    }
    table.tables.iter().for_each(|below| self::table(page, below));
}

fn keys(page: &mut String, table: &Table) {
    page.push_str("| key | value | default | |\n| --- | --- | --- | --- |\n");
    for key in table.all_keys() {
        let default = if table.presence == Presence::Override { "the base's".into() } else { default(key) };
        page.push_str(&format!(
            "| `{}` | {} | {default} | {}{} |\n",
            key.name,
            kind(key.kind),
            key.doc,
            alias(key)
        ));
    }
}

fn alias(key: &Key) -> String {
    match key.alias {
        Some(Alias::Equal(name)) => format!(" Also spelled `{name}`."),
        Some(Alias::Old(name)) => format!(" Formerly `{name}`."),
        None => String::new(),
    }
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Version => "1".into(),
        Kind::Text => "string".into(),
        Kind::Word(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
        Kind::Path => "path".into(),
        Kind::Zone => "time zone".into(),
        Kind::Bool => "bool".into(),
        Kind::Int(min, ANY) => format!("integer ≥ {min}"),
        Kind::Int(min, max) => format!("integer {min} to {max}"),
        Kind::Float(Range::Percent) => "number 0 to 100".into(),
        Kind::Float(Range::PositivePercent) => "number above 0, at most 100".into(),
        Kind::Float(Range::Positive) => "number above 0".into(),
        Kind::Texts => "list of strings".into(),
        Kind::SomeTexts => "list of strings, not empty".into(),
        Kind::Patterns => "list of patterns".into(),
        Kind::Paths => "list of paths, not empty".into(),
        Kind::Windows => "list of windows".into(),
        Kind::TextTable => "table of strings".into(),
    }
}

fn default(key: &Key) -> String {
    match key.default {
        Default::Required => "required".into(),
        Default::Unset => "none".into(),
        Default::Means(text) => text.into(),
        Default::Text(text) if text.contains('"') => format!("`'{text}'`"),
        Default::Text(text) => format!("`{text:?}`"),
        Default::Bool(value) => format!("`{value}`"),
        Default::Int(number) => format!("`{number}`"),
        Default::Float(number) => format!("`{number:?}`"),
        Default::Texts([]) => "`[]`".into(),
        Default::Texts(texts) => {
            let quoted: Vec<_> = texts.iter().map(|text| format!("`{}`", text.replace('|', "\\|"))).collect();
            quoted.join(", ")
        }
    }
}
