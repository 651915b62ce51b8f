//! What a document points at is there: files and headings of links, packages and targets of cargo's command lines,
//! files that are typed as commands, variables of the environment.

use std::fs;
use std::path::Path;

use regex::Regex;

use super::page::{Page, Part, files, pages, parts, root, spans};
use super::shell;

/// The packages, by the folder each is in.
const PACKAGES: [(&str, &str); 4] = [
    ("agent-runner", "agent"),
    ("agent-runner-fleet", "controller"),
    ("agent-runner-inventory", "inventory"),
    ("agent-runner-tests", "tests"),
];

/// A heading as a link names it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign));
    kept.map(|sign| if sign == ' ' { '-' } else { sign }).collect::<String>().to_lowercase()
}

/// The anchors of a page; of headings that are alike the later ones are counted.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for part in parts(text) {
        let Part::Text { text, .. } = part else { continue };
        for line in text.lines().filter(|line| line.starts_with('#')) {
            let name = anchor(line.trim_start_matches('#').trim());
            let is_like = |other: &&String| {
                other.strip_prefix(name.as_str()).is_some_and(|rest| {
                    rest.is_empty() || rest.strip_prefix('-').is_some_and(|rest| rest.parse::<u32>().is_ok())
                })
            };
            let before = anchors.iter().filter(is_like).count();
            anchors.push(if before == 0 { name } else { format!("{name}-{before}") });
        }
    }
    anchors
}

/// Links of a page that lead nowhere.
fn dead_links(page: &Page) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let folder = root().join(&page.name).parent().unwrap().to_owned();
    let text: String = parts(&page.text)
        .into_iter()
        .filter_map(|part| if let Part::Text { text, .. } = part { Some(text) } else { None })
        .fold(String::new(), |all, text| all + &text + "\n");
    let leads_nowhere = |target: &str| {
        if target.contains("://") {
            return false;
        }
        let (path, name) = target.split_once('#').unwrap_or((target, ""));
        let text = match path {
            "" => Some(page.text.clone()),
            path if folder.join(path).is_dir() => return !name.is_empty(),
            path => {
                fs::read(folder.join(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            }
        };
        text.is_none_or(|text| !name.is_empty() && !anchors(&text).contains(&name.to_owned()))
    };
    let targets = link.captures_iter(&text).map(|found| found[1].to_owned());
    targets
        .filter(|target| leads_nowhere(target))
        .map(|target| format!("{}: ]({target})", page.name))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let dead: Vec<String> = pages().iter().flat_map(dead_links).collect();
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    let page = |text: &str| dead_links(&Page { name: "docs/p.md".into(), text: text.into() });
    assert_eq!(page("[a](fleet.md#many-at-once) [b](#p) [c](https://example.org/x)\n\n# P\n"), [""; 0]);
    for wrong in ["[a](nosuch.md)", "[a](fleet.md#nosuch)", "![a](pictures/nosuch.svg)", "[a](#nosuch)"] {
        assert_eq!(page(wrong).len(), 1, "{wrong}");
    }
    assert_eq!(anchors("# A b\n\n## `A`: c, d\n\n## A b\n"), ["a-b", "a-c-d", "a-b-1"]);
}

/// Every command of every block and between backticks, with where it stands.
fn every_command() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for page in pages() {
        let mut take = |line: usize, text: &str| {
            let commands = shell::commands(text);
            found.extend(commands.into_iter().map(|words| (format!("{}:{line}", page.name), words)));
        };
        for part in parts(&page.text) {
            if let Part::Block(block) = part {
                shell::typed(&block).into_iter().for_each(|(line, text)| take(line, text));
            }
        }
        spans(&page.text).into_iter().for_each(|(line, span)| take(line, &span));
    }
    found.into_iter().map(|(at, words)| (at, shell::behind_variables(&words).to_vec())).collect()
}

/// What a command line of cargo names that is not there.
fn not_there(words: &[String]) -> Option<String> {
    let after = |option: &str| {
        let at = words.iter().position(|word| word == option)?;
        words.get(at + 1).map(String::as_str)
    };
    let folder_of =
        |name: &str| PACKAGES.iter().find(|(package, _)| *package == name).map(|(_, folder)| *folder);
    let named = words.iter().zip(words.iter().skip(1)).filter(|(option, _)| *option == "-p");
    if let Some((_, name)) = named.clone().find(|(_, name)| folder_of(name).is_none()) {
        return Some(format!("no package {name}"));
    }
    let folder = named.map(|(_, name)| folder_of(name).unwrap_or_default()).next();
    if let Some(path) = after("--path").filter(|path| !root().join(path).join("Cargo.toml").is_file()) {
        return Some(format!("no package in {path}"));
    }
    let folder = root().join(folder?);
    for (option, below) in [("--test", "tests"), ("--bench", "benches"), ("--bin", "src/bin")] {
        let Some(name) = after(option) else { continue };
        let places = [folder.join(below), folder.clone()];
        if !places.iter().any(|place| place.join(format!("{name}.rs")).is_file()) {
            return Some(format!("no target {name}"));
        }
    }
    // Of the words without an option the last is what tests are chosen by.
    let chosen = words.last().filter(|_| words.get(1).is_some_and(|verb| verb == "test"))?;
    let before = words.get(words.len() - 2)?;
    if chosen.starts_with('-') || before.starts_with("-p") || before.starts_with("--") {
        return None;
    }
    (!is_a_test_of(&folder, chosen)).then(|| format!("no test called {chosen}"))
}

fn is_a_test_of(folder: &Path, name: &str) -> bool {
    let sources = files(folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    sources.into_iter().any(|path| {
        path.components().any(|part| part.as_os_str().to_string_lossy().contains(name))
            || fs::read_to_string(&path).is_ok_and(|text| text.contains(&format!("fn {name}")))
    })
}

#[test]
fn every_command_of_cargo_names_what_is_there() {
    let commands = every_command();
    let cargo: Vec<_> =
        commands.iter().filter(|(_, words)| words.first().is_some_and(|word| word == "cargo")).collect();
    assert!(cargo.len() > 10, "only {}", cargo.len());
    for (at, words) in cargo {
        assert_eq!(not_there(words), None, "{at}: {}", words.join(" "));
    }
    for (line, wrong) in [
        ("cargo test -p agent-runner reference", None),
        ("cargo test -p agent-runner-tests --test hosts", None),
        ("cargo test -p agent-runner-nosuch", Some("no package agent-runner-nosuch")),
        ("cargo test -p agent-runner-tests --test hosts recipies", Some("no test called recipies")),
        ("cargo test -p agent-runner-tests --test nosuch", Some("no target nosuch")),
        ("cargo install --path nosuch", Some("no package in nosuch")),
    ] {
        let words = shell::commands(line).remove(0);
        assert_eq!(not_there(&words).as_deref(), wrong, "{line}");
    }
}

#[test]
fn every_file_of_ours_that_is_typed_is_there() {
    let ours = Regex::new(r"^(\.ci|agent|controller|inventory|tests|docs|fuzz)/").unwrap();
    let mut looked_at = 0;
    for (at, words) in every_command() {
        let Some(path) = words.first().filter(|word| ours.is_match(word)) else { continue };
        if !path.contains(['*', '{', '<']) {
            looked_at += 1;
            assert!(root().join(path).exists(), "{at} names {path}");
        }
    }
    assert!(looked_at > 20, "only {looked_at} files");
}

/// Pages shorten a source file to where it is in its crate: `ssh/wire.rs`.
#[test]
fn every_source_file_that_is_named_is_there() {
    let name = Regex::new(r"^[a-z_/]+\.rs$").unwrap();
    let folders = ["agent", "controller", "inventory", "tests"];
    let sources: Vec<_> = folders.iter().flat_map(|folder| files(&root().join(folder))).collect();
    let mut looked_at = 0;
    for page in pages() {
        for (line, span) in spans(&page.text).into_iter().filter(|(_, span)| name.is_match(span)) {
            looked_at += 1;
            assert!(sources.iter().any(|path| path.ends_with(&span)), "{}:{line} names {span}", page.name);
        }
    }
    assert!(looked_at > 80, "only {looked_at}");
}

#[test]
fn every_variable_of_ours_is_read_somewhere() {
    let variable = Regex::new(r"\bAGENT_RUNNER_[A-Z_]+[A-Z]\b").unwrap();
    let folders = ["agent", "controller", "inventory", "tests", ".ci", "fuzz"];
    let outside_of_this = |path: &Path| !path.ends_with("tests/documents/links.rs");
    let mut sources = String::new();
    for path in
        folders.iter().flat_map(|folder| files(&root().join(folder))).filter(|path| outside_of_this(path))
    {
        let is_code = path.extension().is_none_or(|end| ["rs", "py", "sh"].iter().any(|code| end == *code));
        // What is no text is no code.
        sources.push_str(&is_code.then(|| fs::read_to_string(&path).ok()).flatten().unwrap_or_default());
    }
    let mut looked_at = 0;
    for page in pages() {
        for name in variable.find_iter(&page.text) {
            looked_at += 1;
            assert!(sources.contains(name.as_str()), "{} names {}", page.name, name.as_str());
        }
    }
    assert!(looked_at > 8, "only {looked_at}");
}

#[test]
fn the_newest_release_of_the_changelog_is_this_version() {
    let page = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let heading = Regex::new(r"(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$").unwrap();
    assert_eq!(&heading.captures(&page).unwrap()[1], env!("CARGO_PKG_VERSION"));
}
