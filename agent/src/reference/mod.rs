//! The pages of docs/ that are made from the program's own tables, so that they cannot say anything else. A stale
//! page fails the test; `AGENT_RUNNER_WRITE_DOCS=1 cargo test -p agent-runner reference` writes them.

mod commands;
mod configuration;
mod events;
mod spelling;

use std::path::Path;

use crate::error::Exit;
use crate::event::KINDS;
use crate::witness::detectors::DETECTORS;

/// The events after which somebody has to look.
const GIVE_UPS: [&str; 6] = [
    "config_broken",
    "crash_loop",
    "stalled_no_progress",
    "mem_loop",
    "mem_loop_persistent",
    "round_supervisor_wedged",
];

#[test]
fn docs_commands_md_is_what_the_command_line_takes() {
    check("commands.md", &commands::page());
}

#[test]
fn docs_configuration_md_is_what_the_parser_reads() {
    check("configuration.md", &configuration::page());
}

#[test]
fn docs_events_md_is_what_is_written() {
    check("events.md", &events::page());
}

fn check(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("AGENT_RUNNER_WRITE_DOCS").is_some() {
        crate::store::atomic::replace_with_mode(&path, page.as_bytes(), 0o644).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "docs/{name} is stale: AGENT_RUNNER_WRITE_DOCS=1 cargo test -p agent-runner reference"
    );
}

#[test]
fn the_runbook_knows_every_alert_every_way_to_give_up_and_every_exit_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbook.md");
    let runbook = std::fs::read_to_string(path).unwrap();
    let alerts = DETECTORS.iter().map(|detector| detector.name);
    for name in alerts.chain(GIVE_UPS) {
        let (_, section) = runbook.split_once(&format!("\n### `{name}`\n")).expect(name);
        let section = section.split("\n#").next().unwrap_or_default();
        for part in ["- **Symptom**: ", "- **Meaning**: ", "- **Action**: "] {
            assert_eq!(section.matches(part).count(), 1, "{name}: {part}");
        }
    }
    for exit in Exit::ALL {
        assert!(runbook.contains(&format!("\n| {} | ", exit.code())), "{exit:?}");
    }
    // The fleet's own alerts are the controller's to check.
    let own = runbook.split("\n## Fleet alerts").next().unwrap_or_default();
    let headings = own.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    for name in headings {
        let known = KINDS.iter().any(|kind| kind.name == name)
            || DETECTORS.iter().any(|detector| detector.name == name);
        assert!(known, "{name}");
    }
}
