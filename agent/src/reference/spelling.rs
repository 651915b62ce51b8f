//! Names of the configuration in pages that are written by hand: each is in the table of keys, spelled as there.

use std::path::Path;

use crate::config::keys::ROOT;
use crate::config::schema::{Alias, Kind, Table};
use crate::event::KINDS;
use crate::witness::detectors::DETECTORS;

/// Pages about `agent-runner.toml`. What follows `## Fleet alerts` has the controller's own keys.
const PAGES: [&str; 6] =
    ["agents.md", "architecture.md", "performance.md", "presets.md", "runbook.md", "supervision.md"];

/// Tables of other files: those of a preset.
const OTHERS: [&str; 2] = ["preset", "provider"];

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    text.split("\n## Fleet alerts").next().unwrap().to_owned()
}

/// Returns what stands between backticks, without blocks of code.
fn spans(page: &str) -> Vec<String> {
    let outside = page.split("\n```").step_by(2).collect::<Vec<_>>().join("\n");
    outside.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn tables(table: &'static Table) -> Vec<&'static Table> {
    std::iter::once(table).chain(table.tables.iter().flat_map(tables)).collect()
}

/// Returns whether a dotted name leads to a table or a key.
fn is_there(path: &str) -> bool {
    let mut table = &ROOT;
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        if let Some(below) = table.below(part) {
            table = below;
            continue;
        }
        let key = table.all_keys().find(|key| key.name == part);
        return key.is_some_and(|key| parts.peek().is_none() || matches!(key.kind, Kind::TextTable));
    }
    true
}

fn is_other_spelling(name: &str) -> bool {
    let mut keys = tables(&ROOT).into_iter().flat_map(Table::all_keys);
    keys.any(|key| key.alias.map(Alias::name) == Some(name))
}

/// Returns whether a span names a table or a key that is not there under this name.
fn is_wrong(span: &str) -> bool {
    let name = span.split(" = ").next().unwrap();
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.<>".contains(&byte));
    if let Some(table) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let table = table.trim_start_matches('[').trim_end_matches(']');
        let own = table.split('.').next().is_none_or(|head| !OTHERS.contains(&head));
        return is_name(table) && own && !is_there(table);
    }
    match name.split_once('.') {
        Some((head, _)) => is_name(name) && ROOT.below(head).is_some() && !is_there(name),
        None => is_other_spelling(name),
    }
}

#[test]
fn pages_written_by_hand_name_tables_and_keys_as_the_parser_does() {
    for name in PAGES {
        let wrong: Vec<String> = spans(&page(name)).into_iter().filter(|span| is_wrong(span)).collect();
        assert!(wrong.is_empty(), "docs/{name} names what is not in the table of keys: {wrong:?}");
    }
    for right in
        ["runtime.round_timeout_s", "[agent.env]", "vcs.dirty_action = \"stash\"", "serve.lock", "[provider]"]
    {
        assert!(!is_wrong(right), "{right}");
    }
    for wrong in
        ["runtime.round_budget_s", "round_budget_s", "[retentoin]", "[monitor.brake]", "agent.env_file"]
    {
        assert!(is_wrong(wrong), "{wrong}");
    }
}

/// In the runbook a name with an underscore is something to look up: a key, an event or a field of one, a detector.
#[test]
fn every_name_in_the_runbook_can_be_looked_up() {
    let keys = tables(&ROOT).into_iter().flat_map(Table::all_keys).map(|key| key.name);
    let events = KINDS.iter().flat_map(|kind| {
        std::iter::once(kind.name).chain(kind.fields.iter().map(|(name, _)| name.trim_start_matches("r#")))
    });
    let known: Vec<&str> = keys.chain(events).chain(DETECTORS.iter().map(|detector| detector.name)).collect();
    let spans = spans(&page("runbook.md"));
    let is_name = |span: &&String| {
        span.contains('_') && span.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let unknown: Vec<&String> =
        spans.iter().filter(is_name).filter(|span| !known.contains(&span.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
