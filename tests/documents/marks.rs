//! Each block says, in a comment before it that readers do not see, who runs it or why nobody does:
//!
//! - `<!-- run by PATH::TEST -->`: a test of that name, which names the page, the verbs of the block, or itself (to be
//!   given the blocks that name it); several with commas
//! - `<!-- run by PATH -->`: a script, in which each command of the block stands; `PATH::WORDS`: one that holds these
//!   words and brings the block to be run
//! - `<!-- illustration: REASON -->`
//! - `<!-- every block run by .. -->`: once, before the first block of a page

use std::fs;

use regex::Regex;

use super::page::{Block, Part, pages, parts, root};
use super::shell;

/// What a reason has at least, so that it is one.
const WORDS_OF_A_REASON: usize = 4;

const SAY: &str = "say before it `<!-- run by PATH::TEST -->` or `<!-- illustration: REASON -->`";

/// What a comment says of a block.
#[derive(Debug, PartialEq, Eq)]
enum Mark {
    RunBy(Vec<Runner>),
    EveryBlockRunBy(Vec<Runner>),
    Illustration(String),
}

/// Who runs a block.
#[derive(Debug, PartialEq, Eq)]
struct Runner {
    path: String,
    name: Option<String>,
}

impl Mark {
    /// `None` for a comment that is about something else.
    fn read(comment: &str) -> Option<Mark> {
        let runners = |list: &str| {
            let runner = |one: &str| match one.trim().split_once("::") {
                Some((path, name)) => Runner { path: path.into(), name: Some(name.into()) },
                None => Runner { path: one.trim().into(), name: None },
            };
            list.split(',').map(runner).collect()
        };
        if let Some(list) = comment.strip_prefix("run by") {
            return Some(Mark::RunBy(runners(list)));
        }
        if let Some(list) = comment.strip_prefix("every block run by") {
            return Some(Mark::EveryBlockRunBy(runners(list)));
        }
        comment.strip_prefix("illustration").map(|reason| Mark::Illustration(reason.trim().into()))
    }
}

/// The blocks that are marked to be run by this test, with their pages' names; there must be some.
pub(crate) fn marked(test: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for page in pages() {
        let mut mark = None;
        for part in parts(&page.text) {
            match part {
                Part::Comment { text, .. } => mark = Mark::read(&text),
                Part::Block(block) => {
                    let Some(Mark::RunBy(runners)) = mark.take() else { continue };
                    if runners.iter().any(|runner| runner.name.as_deref() == Some(test)) {
                        found.push((format!("{}:{}", page.name, block.line), block.text()));
                    }
                }
                Part::Text { .. } => mark = None,
            }
        }
    }
    assert!(!found.is_empty(), "no block is marked to be run by {test}");
    found
}

/// What is wrong with the marks of a page; `read` gives the text of a file of the tree.
fn wrong(name: &str, text: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say = |line: usize, what: &str| wrong.push(format!("{name}:{line}: {what}"));
    let (mut whole, mut open, mut blocks) = (None, None, 0);
    let no_block = "a mark without a block: the block has to follow it";
    for part in parts(text) {
        match part {
            Part::Comment { line, text } => match Mark::read(&text) {
                None => {}
                Some(Mark::EveryBlockRunBy(_)) if blocks > 0 || whole.is_some() => {
                    say(line, "a mark for every block stands once, before the first block");
                }
                Some(mark @ Mark::EveryBlockRunBy(_)) => whole = Some((line, mark)),
                Some(mark) => {
                    if let Some((earlier, _)) = open.replace((line, mark)) {
                        say(earlier, no_block);
                    }
                }
            },
            Part::Text { .. } => {
                if let Some((line, _)) = open.take() {
                    say(line, no_block);
                }
            }
            Part::Block(block) => {
                blocks += 1;
                if !block.closed {
                    say(block.line, "the block is never closed");
                }
                match (open.take(), &whole) {
                    (Some((line, _)), Some((every, _))) => {
                        say(
                            line,
                            &format!("line {every} is for every block already: take one of the two away"),
                        );
                    }
                    (Some((line, mark)), None) => {
                        about(&mark, name, &block, read).iter().for_each(|what| say(line, what));
                    }
                    (None, Some((every, mark))) => {
                        about(mark, name, &block, read).iter().for_each(|what| say(*every, what));
                    }
                    (None, None) => say(block.line, &format!("nobody says who runs this block: {SAY}")),
                }
            }
        }
    }
    open.into_iter().for_each(|(line, _)| say(line, no_block));
    if let Some((line, _)) = whole.filter(|_| blocks == 0) {
        say(line, "a mark for every block of a page that has none: take it away");
    }
    wrong.dedup();
    wrong
}

/// What is wrong with one mark.
fn about(mark: &Mark, page: &str, block: &Block<'_>, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    match mark {
        Mark::Illustration(reason) => {
            let reason = reason.strip_prefix(':').unwrap_or_default();
            let enough = reason.split_whitespace().count() >= WORDS_OF_A_REASON;
            let what = format!("`illustration: REASON` needs a reason of {WORDS_OF_A_REASON} words or more");
            (!enough).then_some(what).into_iter().collect()
        }
        Mark::RunBy(runners) | Mark::EveryBlockRunBy(runners) => {
            let (verbs, mut wrong) = (verbs(block), Vec::new());
            let mut left = verbs.clone();
            for runner in runners {
                let text =
                    read(&runner.path).ok_or_else(|| format!("there is no file {:?}: {SAY}", runner.path));
                match text.and_then(|text| run(runner, &text, (page, block, &verbs))) {
                    Ok(run) => left.retain(|verb| !run.contains(verb)),
                    Err(what) => wrong.push(what),
                }
            }
            if wrong.is_empty() && !left.is_empty() {
                wrong.push(format!("nobody named here runs {left:?}"));
            }
            wrong
        }
    }
}

/// The verbs of our programs in a block.
fn verbs(block: &Block<'_>) -> Vec<String> {
    let commands = shell::typed(block).into_iter().flat_map(|(_, line)| shell::commands(line));
    let verb = |words: Vec<String>| {
        let words = shell::behind_variables(&words);
        let ours = words.first().is_some_and(|first| first.starts_with("agent-runner"));
        words.get(1).filter(|verb| ours && !verb.starts_with('-')).cloned()
    };
    commands.filter_map(verb).collect()
}

/// Which of the verbs the named one runs.
///
/// # Errors
/// Why it cannot be what runs the block.
fn run(
    runner: &Runner,
    text: &str,
    (page, block, verbs): (&str, &Block<'_>, &[String]),
) -> Result<Vec<String>, String> {
    let path = &runner.path;
    match &runner.name {
        Some(name) if path.ends_with(".rs") => {
            let name_and_brackets = format!("{}\\(", regex::escape(name));
            let test =
                format!(r"#\[(?:tokio::)?test\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn {name_and_brackets}");
            if !Regex::new(&test).unwrap().is_match(text) {
                return Err(format!("{path} has no test called {name}"));
            }
            let (folder, file) = page.rsplit_once('/').unwrap_or(("", page));
            let by_page = text.contains(file) || (folder.contains('/') && text.contains(folder));
            if by_page || text.contains(&format!("\"{name}\"")) {
                return Ok(verbs.to_vec());
            }
            let holds = |verb: &&String| {
                let as_a_word = format!(r#"["'` ]{}["'`, ]"#, regex::escape(verb));
                Regex::new(&as_a_word).unwrap().is_match(text)
            };
            let run: Vec<String> = verbs.iter().filter(holds).cloned().collect();
            let nothing =
                || format!("{path} names neither this page nor a verb of the block: it does not run it");
            if run.is_empty() { Err(nothing()) } else { Ok(run) }
        }
        None if path.ends_with(".rs") => Err(format!("say which test of {path}: {path}::TEST")),
        Some(words) if text.contains(words.as_str()) => Ok(verbs.to_vec()),
        Some(words) => Err(format!("{path} does not hold {words:?}")),
        None => {
            let lines: Vec<Vec<&str>> = text
                .lines()
                .filter(|line| !line.trim_start().starts_with('#'))
                .map(|line| line.split_whitespace().collect())
                .collect();
            let stands = |words: &[String]| lines.iter().any(|line| is_within(words, line));
            let mut typed = shell::typed(block).into_iter().flat_map(|(_, line)| shell::commands(line));
            match typed.find(|words| !stands(words)) {
                Some(words) => Err(format!("{path} does not run `{}`", words.join(" "))),
                None => Ok(verbs.to_vec()),
            }
        }
    }
}

/// Whether these words stand in the line, in their order, others between them.
fn is_within(words: &[String], line: &[&str]) -> bool {
    let mut line = line.iter();
    words.iter().all(|word| line.any(|other| other == word))
}

#[test]
fn every_block_says_who_runs_it_or_why_nobody_does() {
    let read = |path: &str| fs::read_to_string(root().join(path)).ok();
    let wrong: Vec<String> = pages().iter().flat_map(|page| wrong(&page.name, &page.text, &read)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = "#[test]\nfn does_it() { run(&[\"deploy\"]); }\n";

    fn read(path: &str) -> Option<String> {
        match path {
            "t.rs" => Some(TEST.into()),
            "other.rs" => Some("#[test]\nfn reads_it() { page(\"p.md\") }\nfn no_test() {}\n".into()),
            "routed.rs" => Some("#[test]\nfn gets_it() { marked(\"gets_it\") }\n".into()),
            "sleeps.rs" => Some("#[test]\nfn sleeps() {}\n".into()),
            "gate" => {
                Some("# cargo test --all\ntimeout 9 cargo test --locked --workspace\nrun docs/p.md\n".into())
            }
            _ => None,
        }
    }

    fn said(text: &str) -> String {
        wrong("docs/p.md", text, &read).join("\n")
    }

    #[test]
    fn marks_that_hold() {
        let deploy = "\n```console\n$ agent-runner-fleet deploy\n```\n";
        for mark in [
            "<!-- run by t.rs::does_it -->",
            "<!-- run by other.rs::reads_it -->\n",
            "<!-- run by routed.rs::gets_it -->",
            "<!-- run by t.rs::does_it, other.rs::reads_it -->",
            "<!-- run by gate::docs/p.md -->",
            "<!-- illustration: it needs an account -->",
            "<!-- every block run by t.rs::does_it -->\n\nText.\n",
        ] {
            assert_eq!(said(&format!("# P\n\n{mark}{deploy}")), "", "{mark}");
        }
        assert_eq!(said("<!-- run by gate -->\n```sh\ncargo test --workspace   # all\n```\n"), "");
        assert_eq!(said("# P\n\n<!-- made from something -->\n\nText.\n"), "");
        let twice = format!("<!-- every block run by t.rs::does_it -->{deploy}{deploy}");
        assert_eq!(said(&twice), "");
    }

    #[test]
    fn marks_that_do_not() {
        let deploy = "\n```console\n$ agent-runner-fleet deploy\n```\n";
        for (text, expected) in [
            (deploy.into(), "docs/p.md:2: nobody says who runs this block"),
            (format!("<!-- run by t.rs::does_it -->\n\nText.\n{deploy}"), "docs/p.md:1: a mark without a block"),
            ("Text.\n\n<!-- illustration: nothing comes after it -->\n".into(), "docs/p.md:3: a mark without a block"),
            (format!("<!-- run by t.rs::does_it -->\n<!-- run by t.rs::does_it -->{deploy}"), "docs/p.md:1: a mark without"),
            (format!("<!-- illustration: hosts are invented -->{deploy}"), "docs/p.md:1: `illustration: REASON` needs"),
            (format!("<!-- illustration hosts are invented here -->{deploy}"), "needs a reason"),
            (format!("<!-- run by t.rs::did_it -->{deploy}"), "docs/p.md:1: t.rs has no test called did_it"),
            (format!("<!-- run by other.rs::no_test -->{deploy}"), "other.rs has no test called no_test"),
            (format!("<!-- run by u.rs::does_it -->{deploy}"), "there is no file \"u.rs\""),
            (format!("<!-- run by t.rs -->{deploy}"), "say which test of t.rs"),
            (format!("<!-- run by sleeps.rs::sleeps -->{deploy}"), "names neither this page nor a verb"),
            (format!("<!-- run by gate -->{deploy}"), "gate does not run `agent-runner-fleet deploy`"),
            (format!("<!-- run by gate::docs/q.md -->{deploy}"), "gate does not hold \"docs/q.md\""),
            (format!("{deploy}<!-- every block run by t.rs::does_it -->{deploy}"), "stands once, before the first"),
            (
                format!("<!-- every block run by t.rs::does_it -->\n<!-- run by t.rs::does_it -->{deploy}"),
                "docs/p.md:2: line 1 is for every block already",
            ),
            ("<!-- every block run by t.rs::does_it -->\n\nText.\n".into(), "a page that has none"),
            ("<!-- run by gate -->\n```sh\ncargo test --all\n```\n".into(), "gate does not run `cargo test --all`"),
            ("<!-- run by gate -->\n```sh\ncargo test\n".into(), "docs/p.md:2: the block is never closed"),
            (
                "<!-- run by t.rs::does_it, t.rs::does_it -->\n```\nagent-runner-fleet deploy\nagent-runner-fleet kill\n```\n"
                    .into(),
                "docs/p.md:1: nobody named here runs [\"kill\"]",
            ),
        ] {
            let text: String = text;
            let found = said(&text);
            assert!(found.contains(expected), "{text}\nsays {found:?}, and not {expected:?}");
        }
    }
}
