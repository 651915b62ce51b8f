//! Many names on one line: `host[1-3,7] (4)`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

/// Folds names and says how many there are: `pi[01-03].lan (3)`; one name stands as it is.
pub fn fold_names<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> String {
    let (mut text, count) = fold(names);
    if count > 1 {
        write!(text, " ({count})").expect("writing to a string cannot fail");
    }
    text
}

/// Folds names into a selection that chooses exactly them: `pi[01-03].lan,gate`.
pub fn fold_pattern<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> String {
    fold(names).0
}

/// A name cut into text and numbers; a number folded with others is a `Set`.
type Parts = Vec<Part>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    Number(String),
    Set(String),
}

fn fold<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> (String, usize) {
    let mut seen = HashSet::new();
    let mut rows: Vec<Parts> = Vec::new();
    for name in names {
        if seen.insert(name.as_ref().to_owned()) {
            rows.push(cut(name.as_ref()));
        }
    }
    // The last number varies fastest in names that people give, so it is folded first.
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    for axis in (0..longest).rev() {
        rows = fold_axis(rows, axis);
    }
    let folded: Vec<String> = rows.iter().map(|parts| parts.iter().map(Part::text).collect()).collect();
    (folded.join(","), seen.len())
}

impl Part {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) | Self::Set(text) => text,
        }
    }
}

/// Longest run of digits that is taken for a number: what [`crate::Pattern`] reads back.
const MAX_DIGITS: usize = 18;

fn cut(name: &str) -> Parts {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|letter: char| letter.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(end);
        let number = digits && end <= MAX_DIGITS;
        parts.push(if number { Part::Number(head.into()) } else { Part::Text(head.into()) });
        rest = tail;
    }
    parts
}

/// Folds rows that differ in the part at `axis` only; a fold stands where its first row stood.
fn fold_axis(rows: Vec<Parts>, axis: usize) -> Vec<Parts> {
    let mut families: HashMap<(Parts, Parts), usize> = HashMap::new();
    let mut out: Vec<(Parts, Vec<String>, Parts)> = Vec::new();
    for mut row in rows {
        let Some(Part::Number(number)) = row.get(axis).cloned() else {
            out.push((row, Vec::new(), Vec::new()));
            continue;
        };
        let tail = row.split_off(axis + 1);
        row.truncate(axis);
        let place = *families.entry((row.clone(), tail.clone())).or_insert(out.len());
        match out.get_mut(place) {
            Some((_, numbers, _)) => numbers.push(number),
            None => out.push((row, vec![number], tail)),
        }
    }
    out.into_iter()
        .map(|(mut row, numbers, tail)| {
            match numbers.as_slice() {
                [] => {}
                [one] => row.push(Part::Number(one.clone())),
                several => row.push(Part::Set(format!("[{}]", spell(several)))),
            }
            row.extend(tail);
            row
        })
        .collect()
}

/// Writes numbers as runs: `01-03,7`.
fn spell(numbers: &[String]) -> String {
    let padded: Vec<usize> = widths(numbers);
    let mut classes: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for number in numbers {
        let own = if is_padded(number) {
            number.len()
        } else {
            // `10` continues both `8, 9` and `08, 09`; the widest padding it fills is the one it belongs to.
            padded.iter().copied().filter(|width| *width <= number.len()).max().unwrap_or(0)
        };
        classes.entry(own).or_default().push(number.parse().unwrap_or(0));
    }
    let mut items = Vec::new();
    for (width, mut values) in classes {
        values.sort_unstable();
        for run in values.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
            if let (Some(first), Some(last)) = (run.first(), run.last()) {
                items.push(if first == last {
                    format!("{first:0width$}")
                } else {
                    format!("{first:0width$}-{last:0width$}")
                });
            }
        }
    }
    items.join(",")
}

/// The widths of the numbers that begin with a padding zero.
fn widths(numbers: &[String]) -> Vec<usize> {
    let mut widths: Vec<usize> = numbers.iter().filter(|n| is_padded(n)).map(String::len).collect();
    widths.sort_unstable();
    widths.dedup();
    widths
}

fn is_padded(number: &str) -> bool {
    number.len() > 1 && number.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: &str) {
        assert_eq!(fold_names(names), expected);
    }

    #[test]
    fn names_fold_along_their_numbers() {
        check(&[], "");
        check(&["gate"], "gate");
        check(&["host1", "host2", "host3", "host7"], "host[1-3,7] (4)");
        check(&["host3", "host1", "host2"], "host[1-3] (3)");
        check(&["pi08.lan", "pi09.lan", "pi10.lan"], "pi[08-10].lan (3)");
        check(&["a", "b"], "a,b (2)");
        check(&["a1", "gate", "a2"], "a[1-2],gate (3)");
        check(&["10.0.3.1", "10.0.3.2", "10.0.4.1", "10.0.4.2"], "10.0.[3-4].[1-2] (4)");
        check(&["n1", "n01", "n2", "n02"], "n[1-2,01-02] (4)");
        check(&["n1", "n1"], "n1");
        check(&["n98", "n99", "n100"], "n[98-100] (3)");
    }

    #[test]
    fn a_hundred_thousand_names_fold_to_one() {
        let names: Vec<String> = (0..100_000).map(|n| format!("node{n:05}")).collect();
        assert_eq!(fold_names(&names), "node[00000-99999] (100000)");
    }
}
