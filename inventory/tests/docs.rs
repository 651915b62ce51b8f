//! `docs/inventory.md` says what the code does: its examples load, its tables are complete.

#![expect(clippy::unwrap_used, reason = "the functions here belong to the tests below")]

use std::collections::BTreeMap;
use std::path::Path;

use agent_runner_inventory::ssh_config::{Treatment, keywords};
use agent_runner_inventory::{HOST_KEYS, Inventory, Pattern, Selection};

const DOC: &str = include_str!("../../docs/inventory.md");

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    DOC.split(opening.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The first cells of the rows of the table below a head, without backticks.
fn first_column(head: &str) -> Vec<String> {
    let rest = DOC.split(head).nth(1).unwrap();
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').nth(1).unwrap().trim().to_owned()).collect()
}

fn example() -> Inventory {
    Inventory::parse(blocks("toml").first().unwrap(), Path::new("fleet.toml")).unwrap()
}

#[test]
fn every_example_loads() {
    let examples = blocks("toml");
    assert_eq!(examples.len(), 2);
    for text in examples {
        if let Err(error) = Inventory::parse(text, Path::new("docs/inventory.md")) {
            assert_eq!(error.to_string(), "", "{text}");
        }
    }
    let rack = Inventory::parse(blocks("toml")[1], Path::new("fleet.toml")).unwrap();
    assert_eq!(rack.hosts().len(), 16 + 1 + 3);
}

#[test]
fn every_host_key_is_described_and_no_other() {
    let described: Vec<String> = first_column("| key | value | meaning |")
        .iter()
        .map(|cell| cell.trim_matches('`').to_owned())
        .collect();
    assert_eq!(described, HOST_KEYS);
}

#[test]
fn every_key_of_the_other_tables_is_one_that_the_file_takes() {
    let is_unknown = |table: &str, key: &str| {
        let text = format!("[fleet]\nname = \"attic\"\n[{table}]\n{key} = \"\"\n");
        let error = Inventory::parse(&text, Path::new("fleet.toml")).err();
        error.is_some_and(|error| error.to_string().contains(&format!("unknown key `{key}`")))
    };
    for (table, head) in [
        ("projects.research", "| key of `[projects.NAME]` | value | meaning |"),
        ("rollout", "| key of `[rollout]` | default | meaning |"),
        ("monitor", "| key of `[monitor]` | default | meaning |"),
    ] {
        for cell in first_column(head) {
            let key = cell.trim_matches('`');
            assert!(!is_unknown(table, key), "[{table}] takes no {key}");
        }
        assert!(is_unknown(table, "nosuch"), "[{table}] takes everything");
    }
}

#[test]
fn every_range_in_the_table_is_read() {
    for cell in first_column("| range | stands for |") {
        for range in cell.split(", ") {
            Pattern::parse(range.trim_matches('`')).unwrap();
        }
    }
}

#[test]
fn every_selection_in_the_table_chooses_hosts() {
    for cell in first_column("| selection | chooses |") {
        let chosen = example().select(&Selection::limit([cell.trim_matches('`')])).unwrap();
        assert!(!chosen.is_empty(), "{cell}");
    }
}

#[test]
fn the_error_shown_is_the_error_printed() {
    let error = example().select(&Selection::limit(["pis & !pi3.lan"])).unwrap_err().to_string();
    assert_eq!(blocks("text")[1].trim_end(), error);
    let text = blocks("toml")[0].replace("hosts = [\"pi[01-20].lan\"]", "hots = [\"pi[01-20].lan\"]");
    let error = Inventory::parse(&text, Path::new("fleet.toml")).unwrap_err().to_string();
    assert!(error.contains(blocks("text")[0].trim_end()), "{error}");
}

#[test]
fn every_keyword_of_openssh_is_listed_by_its_treatment() {
    let mut lists: BTreeMap<u8, Vec<&str>> = BTreeMap::new();
    for (name, treatment) in keywords() {
        let row = match treatment {
            Treatment::Honoured => 0,
            Treatment::Structure => 1,
            Treatment::AskSsh => 2,
            Treatment::NotOffered => 3,
            Treatment::Irrelevant => 4,
            Treatment::Obsolete => 5,
        };
        lists.entry(row).or_default().push(name);
    }
    for names in lists.values() {
        let row =
            format!("| {} |", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" "));
        assert!(DOC.contains(&row), "docs/inventory.md has no row that begins with\n{row}");
    }
}
