//! Tables and properties of selections.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use super::{Remembered, SelectErrorKind, Selection};
use crate::Inventory;

const FLEET: &str = r#"
[fleet]
name = "attic"
[groups.pis]
hosts = ["pi[01-05].lan"]
[groups.cloud]
hosts = ["10.0.3.[1-3]", "@spares"]
[groups.spares]
hosts = ["spare[a-b]", "pi05.lan"]
[hosts."gate"]
"#;

fn fleet() -> Inventory {
    Inventory::parse(FLEET, "fleet.toml".as_ref()).unwrap()
}

fn chosen(selection: &Selection) -> String {
    let names = fleet().select(selection).unwrap();
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
}

fn check(expression: &str, expected: &str) {
    assert_eq!(chosen(&Selection::limit([expression])), expected, "{expression}");
}

fn check_error(expression: &str, expected: &str) {
    let error = fleet().select(&Selection::limit([expression])).unwrap_err();
    let shown: String = format!("{error}\n").replace(" \n", "\n");
    assert_eq!(shown.trim_end(), expected.trim(), "{expression}");
}

#[test]
fn every_kind_of_term_chooses_hosts_in_the_order_of_the_inventory() {
    check("gate", "gate");
    check(
        "all",
        "pi01.lan pi02.lan pi03.lan pi04.lan pi05.lan 10.0.3.1 10.0.3.2 10.0.3.3 sparea spareb gate",
    );
    check("pi02.lan, pi01.lan", "pi01.lan pi02.lan");
    check("pi[01:03].lan", "pi01.lan pi02.lan pi03.lan");
    check("pi[01,04-05].lan", "pi01.lan pi04.lan pi05.lan");
    check("@spares", "pi05.lan sparea spareb");
    check("spares", "pi05.lan sparea spareb");
    check("@cloud", "pi05.lan 10.0.3.1 10.0.3.2 10.0.3.3 sparea spareb");
    check("@s*", "pi05.lan sparea spareb");
    check("pi0?.lan & !pi0[2-4]*", "pi01.lan pi05.lan");
    check("10.*", "10.0.3.1 10.0.3.2 10.0.3.3");
    check("~^pi0[12]\\.", "pi01.lan pi02.lan");
    check("~^(pi01|gate)", "pi01.lan gate");
    check("~^pi0{1,1}[1,2]", "pi01.lan pi02.lan");
    check("@all & gate", "gate");
}

#[test]
fn operators_bind_from_left_to_right() {
    check("gate, pis & @cloud", "pi05.lan");
    check("pis & @cloud, gate", "pi05.lan gate");
    check("pis & !pi03.lan", "pi01.lan pi02.lan pi04.lan pi05.lan");
    check("pis!pi03.lan", "pi01.lan pi02.lan pi04.lan pi05.lan");
    check("pis, !pi03.lan", "pi01.lan pi02.lan pi04.lan pi05.lan");
    check("pis ! pi03.lan ! pi04.lan", "pi01.lan pi02.lan pi05.lan");
    check("!pis", "10.0.3.1 10.0.3.2 10.0.3.3 sparea spareb gate");
    check("!pis, pi01.lan", "pi01.lan 10.0.3.1 10.0.3.2 10.0.3.3 sparea spareb gate");
}

#[test]
fn several_limits_add_up_and_excludes_are_taken_away() {
    let mut selection = Selection::limit(["gate", "pi01.lan", "!pis"]);
    selection.exclude = vec!["10.*".into(), "spares".into()];
    assert_eq!(chosen(&selection), "pi01.lan gate");
    assert_eq!(fleet().select(&Selection::default()).unwrap().len(), 11);
}

#[test]
fn a_mistake_is_shown_with_a_caret_and_the_nearest_name() {
    check_error(
        "pis & !pi3.lan",
        "no host or group is called \"pi3.lan\"\n  pis & !pi3.lan\n         ^^^^^^^ did you mean `pi03.lan`?",
    );
    check_error("@spare", "no group is called \"spare\"\n  @spare\n  ^^^^^^ did you mean `spares`?");
    check_error(
        "pi[01-07].lan",
        "no host or group is called \"pi06.lan\"\n  pi[01-07].lan\n  ^^^^^^^^^^^^^ did you mean `pi01.lan`?",
    );
    check_error("zebra*", "no host matches this\n  zebra*\n  ^^^^^^");
    check_error("@z*", "no group matches this\n  @z*\n  ^^^");
    check_error(
        "pis, pi0$(id)",
        "'$' is in no host's name and means nothing here\n  pis, pi0$(id)\n          ^ a regular expression begins with ~",
    );
    check_error("gäte", "'ä' is in no host's name and means nothing here\n  gäte\n   ^");
    check_error("gate,", "expected a host, a group or a pattern after this\n  gate,\n      ^");
    check_error("gate & ", "expected a host, a group or a pattern after this\n  gate &\n       ^");
    check_error(",gate", "expected a host, a group or a pattern before `,`\n  ,gate\n  ^");
    check_error("gate,,pis", "expected a host, a group or a pattern, not another `,`\n  gate,,pis\n       ^");
    check_error(
        "gate !! pis",
        "expected a host, a group or a pattern, not another `!`\n  gate !! pis\n        ^",
    );
    check_error("gate pis", "expected `,` (or), `&` (and) or `!` (without) here\n  gate pis\n       ^^^");
    check_error("pi[1-", "`[` is not closed by a `]`\n  pi[1-\n    ^");
    check_error("gate, @p[3-1]", "the range ends before it begins\n  gate, @p[3-1]\n           ^^^");
    check_error("@", "expected the name of a group after `@`\n  @\n  ^");
    check_error("~", "expected a regular expression after `~`\n  ~\n  ^");
    check_error("@file:", "expected a path after `@file:`\n  @file:\n  ^^^^^^");
    check_error("~(", "not a regular expression: unclosed group\n  ~(\n  ^^");
    check_error("", "the selection is blank\n \n  ^ `all` selects every host");
    check_error("pis & gate", "the selection is empty: no host is left\n  pis & gate\n  ^^^^^^^^^^");
    check_error("@failed", "there is no earlier run to take `@failed` from\n  @failed\n  ^^^^^^^");
}

#[test]
fn an_empty_selection_names_what_took_the_hosts_away() {
    let mut selection = Selection::limit(["gate"]);
    selection.exclude = vec!["all".into()];
    let error = fleet().select(&selection).unwrap_err();
    assert_eq!(error.kind, SelectErrorKind::Empty);
    assert_eq!(error.hint.unwrap(), "--exclude all takes the rest away");
}

#[test]
fn the_hosts_of_the_last_run_are_remembered() {
    let mut selection = Selection::limit(["@failed, @unreached"]);
    selection.remembered = Remembered {
        failed: Some(vec!["pi02.lan".into(), "gone.lan".into()]),
        unreached: Some(vec!["gate".into()]),
    };
    assert_eq!(chosen(&selection), "pi02.lan gate");
    selection.remembered.unreached = Some(Vec::new());
    let error = fleet().select(&selection).unwrap_err();
    assert_eq!(error.message(), "no host of the last run was unreached");
    selection.remembered.failed = Some(vec!["gone.lan".into()]);
    let error = fleet().select(&selection).unwrap_err();
    assert_eq!(error.message(), "the hosts this stands for have left the inventory");
}

#[test]
fn a_file_holds_one_selection_a_line() {
    fn read(path: &Path) -> std::io::Result<String> {
        match path.to_str() {
            Some("good list") => Ok("# the slow ones\npi01.lan\n\n  @spares # and these\n".into()),
            Some("bad") => Ok("pi01.lan\n\npi1.lan\n".into()),
            Some("nested") => Ok("@file:good list\n".into()),
            Some("blank") => Ok("\n# nothing\n".into()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
    let with = |text: &str| Selection { files: read, ..Selection::limit([text]) };
    assert_eq!(chosen(&with("@file:good list, gate")), "pi01.lan pi05.lan sparea spareb gate");
    let said = |text: &str| fleet().select(&with(text)).unwrap_err().message();
    assert_eq!(said("@file:bad"), "bad:3: no host or group is called \"pi1.lan\"");
    assert_eq!(said("@file:nested"), "nested:1: a file of hosts cannot name another file");
    assert_eq!(said("@file:blank"), "\"blank\" names no host");
    assert_eq!(said("@file:missing"), "cannot read \"missing\": entity not found");
}

#[test]
fn a_hundred_thousand_hosts_are_read_and_chosen() {
    let text =
        "[fleet]\nname = \"big\"\n[groups.all-of-them]\nhosts = [\"n[000000-099999]\"]\nuser = \"pi\"\n";
    let inventory = Inventory::parse(text, "fleet.toml".as_ref()).unwrap();
    assert_eq!(inventory.hosts().len(), 100_000);
    let chosen = inventory.select(&Selection::limit(["n[000000-099999] & !n*7, n000007"])).unwrap();
    assert_eq!(chosen.len(), 90_001);
    let users = inventory.hosts().iter().filter(|name| inventory.host(name).unwrap().user.is_some());
    assert_eq!(users.count(), 100_000);
    assert!(inventory.select(&Selection::limit(["n[000000-100000]"])).is_err());
}

/// A term with the hosts it means, worked out without the evaluator.
fn term() -> impl Strategy<Value = (String, BTreeSet<usize>)> {
    let names = || fleet().hosts().iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let set = |pick: fn(&str) -> bool| {
        let all = fleet();
        (0..all.hosts().len()).filter(|at| pick(&all.hosts()[*at])).collect::<BTreeSet<_>>()
    };
    prop_oneof![
        (0..11usize).prop_map(move |at| (names()[at].clone(), BTreeSet::from([at]))),
        Just(("all".to_owned(), (0..11).collect())),
        Just(("@pis".to_owned(), set(|name| name.starts_with("pi")))),
        Just(("cloud".to_owned(), (4..10).collect())),
        Just(("*a*".to_owned(), set(|name| name.contains('a')))),
        Just(("pi0[2-4].lan".to_owned(), (1..4).collect())),
        Just(("~[1,3]".to_owned(), set(|name| name.contains(['1', '3', ','])))),
    ]
}

proptest! {
    #[test]
    fn the_algebra_agrees_with_plain_sets(
        first in term(),
        rest in proptest::collection::vec((0..5usize, term()), 0..6),
        negated in any::<bool>(),
    ) {
        let mut expression = if negated { format!("!{}", first.0) } else { first.0 };
        let everything: BTreeSet<usize> = (0..11).collect();
        let mut expected = if negated { &everything - &first.1 } else { first.1 };
        for (op, (text, set)) in rest {
            expression.push_str([",", " & ", "!", ", !", "&!"][op]);
            expression.push_str(&text);
            expected = match op {
                0 => &expected | &set,
                1 => &expected & &set,
                _ => &expected - &set,
            };
        }
        let inventory = fleet();
        match inventory.select(&Selection::limit([expression.as_str()])) {
            Ok(hosts) => {
                let names: Vec<_> = expected.iter().map(|at| inventory.hosts()[*at].clone()).collect();
                prop_assert_eq!(hosts, names, "{}", expression);
            }
            Err(error) => {
                prop_assert_eq!(error.kind, SelectErrorKind::Empty);
                prop_assert!(expected.is_empty(), "{}", expression);
            }
        }
    }

    #[test]
    fn no_text_makes_the_selection_fail_badly(text in "\\PC{0,40}|[a-f0-9\\[\\],&!~@*?: /-]{0,30}") {
        fn none(_: &Path) -> std::io::Result<String> {
            Err(std::io::ErrorKind::NotFound.into())
        }
        if let Err(error) = fleet().select(&Selection { files: none, ..Selection::limit([text]) }) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn folded_names_select_the_same_hosts(picked in proptest::collection::btree_set(0..11usize, 1..11)) {
        let inventory = fleet();
        let names: Vec<_> = picked.iter().map(|at| inventory.hosts()[*at].clone()).collect();
        let again = inventory.select(&Selection::limit([crate::fold_pattern(&names)])).unwrap();
        prop_assert_eq!(again, names);
    }
}
