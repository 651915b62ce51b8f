//! Tables and properties of ranges.

use proptest::prelude::*;

use super::Pattern;
use crate::fold::fold_pattern;

fn check(pattern: &str, expected: &[&str]) {
    let pattern = Pattern::parse(pattern).unwrap();
    assert_eq!(pattern.expand(), expected);
    assert_eq!(pattern.count(), expected.len());
}

#[test]
fn every_kind_of_range_expands() {
    check("pi", &["pi"]);
    check("pi[1-3]", &["pi1", "pi2", "pi3"]);
    check("pi[01:03].lan", &["pi01.lan", "pi02.lan", "pi03.lan"]);
    check("pi[08-11]", &["pi08", "pi09", "pi10", "pi11"]);
    check("pi[99-101]", &["pi99", "pi100", "pi101"]);
    check("pi[098-101]", &["pi098", "pi099", "pi100", "pi101"]);
    check("n[a-c]", &["na", "nb", "nc"]);
    check("n[A-C/2]", &["nA", "nC"]);
    check("n[0-10/5]", &["n0", "n5", "n10"]);
    check("n[1,3,5-6]", &["n1", "n3", "n5", "n6"]);
    check("r[1-2]-n[a,b]", &["r1-na", "r1-nb", "r2-na", "r2-nb"]);
    check("n[7]", &["n7"]);
    check("n[0-0]", &["n0"]);
    check("n[00-01]", &["n00", "n01"]);
}

#[test]
fn a_wrong_range_says_what_is_wrong_and_where() {
    for (pattern, at, message) in [
        ("pi[1-3", 2..3, "`[` is not closed by a `]`"),
        ("pi]", 2..3, "`]` without a `[` before it"),
        ("pi[[1-2]]", 2..3, "`[` is not closed by a `]`"),
        ("pi[]", 3..4, "expected a range as in [1-5], [01:20], [a-f] or [0-10/2]"),
        ("pi[1,]", 5..6, "expected a range as in [1-5], [01:20], [a-f] or [0-10/2]"),
        ("pi[3-1]", 3..6, "the range ends before it begins"),
        ("pi[1-x]", 3..6, "a range goes from number to number or from letter to letter"),
        ("pi[a-F]", 3..6, "a range of letters stays in upper or in lower case"),
        ("pi[1-ab]", 5..7, "expected a number or a letter, as in [1-5], [01:20], [a-f] or [0-10/2]"),
        ("pi[1-]", 5..6, "expected a number or a letter, as in [1-5], [01:20], [a-f] or [0-10/2]"),
        ("pi[1-5/0]", 7..8, "a step is at least 1"),
        ("pi[1-5/]", 7..8, "expected a number as the step"),
        ("pi[01-005]", 6..9, "both ends are padded to the same width, as in [01-20]"),
        ("pi[0-100000]", 2..12, "the pattern stands for more than 100000 names"),
        ("p[1-1000]-[1-1000]", 10..18, "the pattern stands for more than 100000 names"),
        ("pi[1-9999999999999999999]", 5..24, "a number in a range has at most 18 digits"),
    ] {
        let error = Pattern::parse(pattern).unwrap_err();
        assert_eq!((error.at, error.message.as_str()), (at, message), "{pattern}");
    }
}

#[test]
fn a_hundred_thousand_names_are_the_limit_and_expand() {
    let pattern = Pattern::parse("n[000001-100000]").unwrap();
    let names = pattern.expand();
    assert_eq!(names.len(), 100_000);
    assert_eq!(names.last().unwrap(), "n100000");
    assert_eq!(Pattern::parse("n[1-100][1-100][0-9]").unwrap().expand().len(), 100_000);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_fail_badly(text in "\\PC{0,40}|[\\[\\]0-9a-f,/:-]{0,20}") {
        match Pattern::parse(&text) {
            Ok(pattern) => prop_assert_eq!(pattern.expand().len(), pattern.count()),
            Err(error) => prop_assert!(error.at.start <= text.len() && error.at.start < error.at.end),
        }
    }

    #[test]
    fn folding_and_expanding_are_inverse(
        names in proptest::collection::btree_set("(pi|rack-)(0{0,2}[0-9]{1,3})(\\.lan|-n[0-9]{1,2}|x[0-9]y[0-9])?", 1..60)
    ) {
        let folded = fold_pattern(&names);
        let mut again = Vec::new();
        for part in split_top(&folded) {
            again.extend(Pattern::parse(part).unwrap().expand());
        }
        again.sort();
        prop_assert_eq!(again, names.into_iter().collect::<Vec<_>>(), "{}", folded);
    }
}

/// Splits at commas outside brackets.
fn split_top(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(move |letter| {
        match letter {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .collect()
}
