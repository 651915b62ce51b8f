//! What docs/architecture.md says of the tree, read off the tree.
#![expect(clippy::unwrap_used, reason = "the tree is there, or the test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

/// Which modules of a program may name which others is kept free of cycles but for these.
const KNOWN_CYCLES: &[(&str, &str)] = &[
    // Completions and the manual are made from the command line's definition.
    ("agent", "cli commands"),
    ("controller", "cli commands"),
];

/// Who may send signals or become another program besides `process`.
const SIGNALLERS: &[&str] = &[
    // A new program takes over between two rounds.
    "agent/src/serve/handover.rs",
    // Tests of crashes end the process itself, in debug builds.
    "agent/src/round/failpoint.rs",
    // Servers of the demo end their own children.
    "controller/src/ssh/hosted.rs",
];

/// What a file that calls itself pure may not name.
const IMPURE: &[&str] = &[
    "std::fs",
    "fs::",
    "Timestamp::now",
    "Zoned::now",
    "Instant::now",
    "SystemTime::now",
    "Command::new",
    "env::",
    "TcpStream",
    "UnixStream",
    "File::",
    "tokio::",
];

/// Pure but for one function, and they say so.
const ALMOST_PURE: &[&str] = &["agent/src/round/prompt.rs", "agent/src/round/ledger.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every source file of a crate as (path below the root, code without its tests and comments).
fn sources(krate: &str) -> Vec<(String, String)> {
    let mut folders = vec![root().join(krate).join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(&path) {
                let text = fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, code(&text)));
            }
        }
    }
    assert!(found.len() > 20, "{krate} has {} files", found.len());
    found.sort();
    found
}

fn is_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy();
    name == "tests" || name == "fixture" || name.ends_with("_tests")
}

/// The lines that run in production: nothing behind the tests, no comments.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |all, line| all + line + "\n")
}

fn says_it_is_pure(path: &str) -> bool {
    let text = fs::read_to_string(root().join(path)).unwrap();
    let header: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
    Regex::new(r"(: pure\.|[.;] Pure[.;:]|\bPure\.$)").unwrap().is_match(&header)
}

#[test]
fn only_ssh_speaks_ssh() {
    for krate in ["agent", "inventory", "controller"] {
        for (path, code) in sources(krate) {
            let is_ssh = path.starts_with("controller/src/ssh/");
            assert!(
                is_ssh || !code.contains("russh::"),
                "{path} names russh: the wire belongs to controller/src/ssh"
            );
        }
    }
}

#[test]
fn only_process_sends_signals() {
    let signals = Regex::new(r"\b(signal::(kill|killpg|raise)|killpg|execve?)\(").unwrap();
    for krate in ["agent", "controller"] {
        for (path, code) in sources(krate) {
            let may = path.starts_with("agent/src/process/") || SIGNALLERS.contains(&path.as_str());
            let line = code.lines().find(|line| signals.is_match(line));
            assert!(
                may || line.is_none(),
                "{path} sends a signal: {line:?}; agent/src/process checks who gets it"
            );
        }
    }
}

#[test]
fn what_calls_itself_pure_touches_no_clock_disk_or_process() {
    let mut looked_at = 0;
    for krate in ["agent", "inventory", "controller"] {
        for (path, code) in sources(krate).iter().filter(|(path, _)| says_it_is_pure(path)) {
            looked_at += 1;
            if ALMOST_PURE.contains(&path.as_str()) {
                continue;
            }
            for word in IMPURE {
                let line = code
                    .lines()
                    .find(|line| Regex::new(&format!(r"\b{}", regex::escape(word))).unwrap().is_match(line));
                assert!(line.is_none(), "{path} calls itself pure and has {word}: {line:?}");
            }
        }
    }
    assert!(looked_at > 60, "only {looked_at} files call themselves pure");
}

#[test]
fn the_agent_has_neither_a_runtime_nor_a_wire() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "-p", "agent-runner", "-e", "normal", "--prefix", "none"])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("regex"), "{tree}");
    for unwanted in ["tokio", "russh", "hyper", "rustls", "ring", "cc", "rusqlite"] {
        assert!(!names.contains(unwanted), "{unwanted} is in the agent");
    }
}

/// The first word of each `crate::` path, by the module it stands in.
fn imports(krate: &str) -> BTreeMap<String, BTreeSet<String>> {
    let named = Regex::new(r"\bcrate::(\{[^}]*\}|[a-z_]+)").unwrap();
    let word = Regex::new(r"(?:^|[{,])\s*([a-z_]+)").unwrap();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, code) in sources(krate) {
        let inside = path.strip_prefix(&format!("{krate}/src/")).unwrap();
        let module = inside.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        if matches!(module.as_str(), "main" | "lib" | "reference") {
            continue;
        }
        let uses = graph.entry(module.clone()).or_default();
        for found in named.captures_iter(&code) {
            uses.extend(
                word.captures_iter(&found[1]).map(|name| name[1].to_owned()).filter(|name| *name != module),
            );
        }
    }
    let modules: BTreeSet<String> = graph.keys().cloned().collect();
    graph.values_mut().for_each(|uses| uses.retain(|name| modules.contains(name)));
    graph
}

/// Groups of modules that reach one another.
fn cycles(graph: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let reached = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = next.pop() {
            for used in graph.get(&module).into_iter().flatten() {
                if seen.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
        seen
    };
    let group = |module: &String| -> Vec<String> {
        let from_here = reached(module);
        let back = |other: &&String| from_here.contains(*other) && reached(other).contains(module);
        graph.keys().filter(back).cloned().collect()
    };
    graph.keys().map(group).filter(|group| group.len() > 1).map(|group| group.join(" ")).collect()
}

#[test]
fn modules_use_one_another_one_way() {
    for krate in ["agent", "inventory", "controller"] {
        let found = cycles(&imports(krate));
        let known = KNOWN_CYCLES
            .iter()
            .filter(|(of, _)| *of == krate)
            .map(|(_, group)| (*group).to_owned())
            .collect();
        assert_eq!(found, known, "modules of {krate} that use one another in a circle");
    }
}

#[test]
fn every_path_of_the_map_exists() {
    let map = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let quoted = Regex::new(r"`((?:agent|controller|inventory|tests|docs)/[^` ]*)`").unwrap();
    let paths: Vec<String> = quoted.captures_iter(&map).map(|found| found[1].to_owned()).collect();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        for path in expanded(&path) {
            assert!(root().join(&path).exists() || path.contains('<'), "docs/architecture.md names {path}");
        }
    }
}

/// `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`; `a/*.toml` is `a`.
fn expanded(path: &str) -> Vec<String> {
    if let Some((before, _)) = path.split_once("/*") {
        return vec![before.to_owned()];
    }
    match path
        .split_once('{')
        .and_then(|(before, rest)| rest.split_once('}').map(|(words, after)| (before, words, after)))
    {
        Some((before, words, after)) => {
            words.split(',').map(|word| format!("{before}{word}{after}")).collect()
        }
        None => vec![path.to_owned()],
    }
}
