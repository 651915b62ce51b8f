//! Unified diffs for people. Pure. Only the one algorithm is used: the convenient front of the library brings every
//! algorithm for every kind of text along, a fifth of the program.

use std::fmt::Write;
use std::ops::Range;

use similar::DiffOp;
use similar::algorithms::{Capture, Compact, Replace, myers};

/// Returns the unified diff of two texts with so many lines of context; empty when they are equal.
pub fn diff(old: &str, new: &str, context: usize, (from, to): (&str, &str)) -> String {
    let (old, new) = (lines(old), lines(new));
    let groups = groups(&old, &new, context);
    let mut text = String::new();
    for group in &groups {
        if text.is_empty() {
            text = format!("--- {from}\n+++ {to}\n");
        }
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let (before, after) =
            (first.old_range().start..last.old_range().end, first.new_range().start..last.new_range().end);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "@@ -{} +{} @@", place(&before), place(&after));
        for op in group {
            match op {
                DiffOp::Equal { .. } => put(&mut text, ' ', old.get(op.old_range())),
                DiffOp::Delete { .. } => put(&mut text, '-', old.get(op.old_range())),
                DiffOp::Insert { .. } => put(&mut text, '+', new.get(op.new_range())),
                DiffOp::Replace { .. } => {
                    put(&mut text, '-', old.get(op.old_range()));
                    put(&mut text, '+', new.get(op.new_range()));
                }
            }
        }
    }
    text
}

fn groups(old: &[&str], new: &[&str], context: usize) -> Vec<Vec<DiffOp>> {
    let mut found = Compact::new(Replace::new(Capture::new()), old, new);
    let Ok(()) = myers::diff(&mut found, old, 0..old.len(), new, 0..new.len());
    found.into_inner().into_inner().into_grouped_ops(context)
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Returns a range of lines as a hunk's head names it.
fn place(range: &Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => (range.start + 1).to_string(),
        count => format!("{},{count}", range.start + 1),
    }
}

fn put(text: &mut String, mark: char, lines: Option<&[&str]>) {
    for line in lines.unwrap_or_default() {
        text.push(mark);
        text.push_str(line);
        if !line.ends_with('\n') {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(old: &str, new: &str, hunks: &str) {
        let expected = if hunks.is_empty() { String::new() } else { format!("--- a\n+++ b\n{hunks}") };
        assert_eq!(diff(old, new, 1, ("a", "b")), expected);
    }

    #[test]
    fn hunks_name_their_lines_and_show_their_surroundings() {
        check("", "", "");
        check("1\n2\n", "1\n2\n", "");
        check("", "1\n", "@@ -0,0 +1 @@\n+1\n");
        check("1\n", "", "@@ -1 +0,0 @@\n-1\n");
        check("1\n2\n3\n4\n5\n", "1\n2\nx\n4\n5\n", "@@ -2,3 +2,3 @@\n 2\n-3\n+x\n 4\n");
        check("1\n2", "1\n2\n", "@@ -1,2 +1,2 @@\n 1\n-2\n\\ No newline at end of file\n+2\n");
    }

    /// What a hunk's lines with one of two marks say.
    fn side(diff: &str, mark: char) -> String {
        let body = diff.lines().skip(2).filter(|line| !line.starts_with("@@"));
        body.filter(|line| line.starts_with([' ', mark])).map(|line| format!("{}\n", &line[1..])).collect()
    }

    proptest! {
        #[test]
        fn both_texts_are_in_a_diff_with_all_its_context(
            old in proptest::collection::vec("[a-c]", 0..12),
            new in proptest::collection::vec("[a-c]", 0..12),
        ) {
            let whole = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let (old, new) = (whole(&old), whole(&new));
            let diff = diff(&old, &new, 100, ("a", "b"));
            if old == new {
                prop_assert_eq!(diff, "");
            } else {
                prop_assert_eq!(side(&diff, '-'), old);
                prop_assert_eq!(side(&diff, '+'), new);
            }
        }
    }
}
