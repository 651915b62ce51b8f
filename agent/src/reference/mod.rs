//! The pages of docs/ that are made from the program's own tables, so that they cannot say anything else. A stale
//! page fails the test; `AGENT_RUNNER_WRITE_DOCS=1 cargo test -p agent-runner reference` writes them.

mod configuration;
mod events;

use std::path::Path;

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
