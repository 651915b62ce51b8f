//! Every error that a person can meet, provoked for real and held against `docs/errors.md`:
//! `AGENT_RUNNER_WRITE_DOCS=1 cargo test -p agent-runner-tests --test e2e errors` writes the page anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use agent_runner_tests::run::Output;
use regex::Regex;

#[path = "errors/agent.rs"]
mod agent;
#[path = "errors/fleet.rs"]
mod fleet;
#[path = "errors/hosts.rs"]
mod hosts;

/// What a person did, and what was said.
struct Entry {
    /// What is wrong, in a few words.
    title: &'static str,
    command: String,
    output: Output,
}

/// What differs from machine to machine, and what stands for it on the page.
struct Places(Vec<(String, &'static str)>);

impl Places {
    fn hide(&self, text: &str) -> String {
        // The tests' programs are the same by another name.
        let text = &text.replace("-under-test", "");
        let mut text = self.0.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        for (pattern, to) in [
            (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:..."),
            (r"\bpid \d+", "pid N"),
            (r"\b\d+(\.\d+)? ms\b", "N ms"),
            (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
            (r"\[127\.0\.0\.1\]:\d+", "[127.0.0.1]:PORT"),
            // Of the time a command may take, a busy machine has used some for connecting.
            (r"no result within \d\.\d s", "no result within 2.0 s"),
            (r"run \d+-\d+", "run ID"),
            (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        ] {
            text = Regex::new(pattern).unwrap().replace_all(&text, to).into_owned();
        }
        text
    }

    fn section(&self, heading: &str, entries: &[Entry]) -> String {
        let mut page = format!("## {heading}\n");
        for entry in entries {
            let output = &entry.output;
            let said = self.hide(format!("{}{}", output.stdout, output.stderr).trim_end());
            write!(
                page,
                "\n### {}\n\n```text\n$ {}\n{said}\n```\n\nExit code {}.\n",
                entry.title,
                self.hide(&entry.command),
                entry.output.code()
            )
            .unwrap();
        }
        page
    }
}

/// Insists that the page says what was said, and that each of it is fit to be read at night.
fn hold(heading: &str, places: &Places, entries: &[Entry]) {
    let unfit = |entry: &&Entry| {
        let said = &entry.output.stderr;
        entry.output.code() == 0
            || said.trim().is_empty()
            || ["panicked", "(os error"].iter().any(|word| said.contains(word))
    };
    let unfit: Vec<String> =
        entries.iter().filter(unfit).map(|entry| format!("{}: {:?}", entry.title, entry.output)).collect();
    assert!(unfit.is_empty(), "no errors, or not fit to be read:\n{}", unfit.join("\n"));
    let section = places.section(heading, entries);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    let page = fs::read_to_string(&path).unwrap();
    let start = page
        .find(&format!("## {heading}\n"))
        .unwrap_or_else(|| unreachable!("docs/errors.md has no {heading:?}"));
    let end = page[start..].find("\n## ").map_or(page.len(), |end| start + end + 1);
    let listed = page[start..end].trim_end();
    if listed == section.trim_end() {
        return;
    }
    if std::env::var_os("AGENT_RUNNER_WRITE_DOCS").is_some() {
        let rest = page[end..].trim_end();
        let rest = if rest.is_empty() { String::new() } else { format!("\n{rest}\n") };
        fs::write(&path, format!("{}{}\n{rest}", &page[..start], section.trim_end())).unwrap();
        return;
    }
    let differs = listed.lines().zip(section.lines()).find(|(listed, said)| listed != said);
    assert_eq!(
        listed,
        section.trim_end(),
        "docs/errors.md is stale (AGENT_RUNNER_WRITE_DOCS=1 writes it): {differs:#?}"
    );
}

#[test]
fn what_the_agent_says() {
    let (places, entries) = agent::entries();
    hold("agent-runner", &places, &entries);
}

#[test]
fn what_the_controller_says_before_it_touches_a_host() {
    let (places, entries) = fleet::entries();
    hold("agent-runner-fleet, before any host", &places, &entries);
}

#[test]
fn what_the_controller_says_of_hosts() {
    let Some((places, entries)) = hosts::entries() else { return };
    hold("agent-runner-fleet, about hosts", &places, &entries);
}
