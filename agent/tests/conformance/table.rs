use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use agent_runner::error::Exit;

const HOUSE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The numbered rules.
const RULES: [&str; 6] = [
    "1.1 1.2 1.3 1.4 1.5 1.6 1.7 1.8 2.1 2.2 2.3 2.4 2.5 2.6 2.7 2.8 2.9 2.10",
    "3.1 3.2 3.3 3.4 3.5 3.6 3.7 3.8 3.9 3.10 4 8.1 8.2 8.3 8.9 8.10 8.11",
    "9.1 9.2 9.3 9.4 9.5 9.6 9.7",
    "5.1 5.2 5.3 6 7.1 7.2 7.3 7.4 7.5 7.6 7.7",
    "10",
    "term fork stdout flood bytes log stop disk git kill",
];

/// Returns each rule of the document with its tests.
fn table() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(Path::new(HOUSE).join("docs/conformance.md")).unwrap();
    let mut table = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{line}");
        let tests = cells[2].split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
        assert_eq!(table.insert(cells[0].to_owned(), tests), None, "{} is there twice", cells[0]);
    }
    table
}

fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for folder in ["agent/src", "agent/tests", "tests/agents", "tests/e2e", "tests/hosts"] {
        tests_in(&Path::new(HOUSE).join(folder), &mut known);
    }
    known
}

/// Collects the names of the test functions in a folder's sources.
fn tests_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for after in text.split("#[test]").skip(1) {
                let Some((_, rest)) = after.split_once("fn ") else { continue };
                found.extend(rest.split_once('(').map(|(name, _)| name.to_owned()));
            }
        }
    }
}

#[test]
fn every_test_the_table_names_exists() {
    let (known, named) = (known(), table());
    let missing: Vec<_> = named.values().flatten().filter(|test| !known.contains(*test)).collect();
    assert!(missing.is_empty(), "docs/conformance.md names tests that do not exist: {missing:#?}");
}

#[test]
fn every_rule_is_in_the_table() {
    let table = table();
    let lessons = (1..=54).map(|number| format!("11.{number}"));
    let faults = (1..=22).map(|number| format!("13.{number}"));
    let rules = RULES.iter().flat_map(|line| line.split(' ')).map(str::to_owned);
    let wanted: BTreeSet<String> = rules.chain(lessons).chain(faults).collect();
    let found: BTreeSet<String> = table.keys().cloned().collect();
    assert_eq!(found, wanted);
}

#[test]
fn what_supervision_md_says_is_tested() {
    let text = fs::read_to_string(Path::new(HOUSE).join("docs/supervision.md")).unwrap();
    let (_, killed) = text.split_once("## What a SIGKILL leaves").unwrap();
    let (killed, codes) = killed.split_once("## Exit codes").unwrap();
    let known = known();
    let rows: Vec<&str> =
        killed.lines().filter(|line| line.starts_with("| ") && line.contains('`')).collect();
    assert_eq!(rows.len(), 4);
    for name in rows.iter().flat_map(|row| row.rsplit('|').nth(1).unwrap().split(", ")) {
        assert!(known.contains(name.trim().trim_matches('`')), "{name}");
    }
    use Exit::{Config, Environment, Failed, GaveUp, Interrupted, MemLoop, MemLoopPersistent, Ok};
    for exit in [Ok, Failed, MemLoopPersistent, MemLoop, GaveUp, Environment, Config, Interrupted] {
        assert!(codes.contains(&exit.code().to_string()), "{exit:?}");
    }
}

#[test]
fn every_test_that_security_md_names_exists_where_it_says() {
    let text = fs::read_to_string(Path::new(HOUSE).join("docs/security.md")).unwrap();
    let (mut file, mut checked) = (String::new(), 0);
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains(".rs: `"));
    for named in
        rows.flat_map(|row| row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap().split([',', ';']))
    {
        let test = match named.trim().split_once(": ") {
            Some((place, test)) => {
                file =
                    fs::read_to_string(Path::new(HOUSE).join(place)).unwrap_or_else(|_| panic!("no {place}"));
                test
            }
            None => named.trim(),
        };
        let definition = format!("fn {}(", test.trim_matches('`'));
        assert!(file.contains(&definition), "docs/security.md names {test}, which is not there");
        checked += 1;
    }
    assert!(checked > 100, "{checked}");
}
