//! Telling moved lines from changed ones: pure.

use std::collections::HashMap;

/// Returns whether two texts hold the same lines in another order: none is new, none is lost.
pub fn is_rearranged(before: &[u8], after: &[u8]) -> bool {
    before != after && lines(before) == lines(after)
}

fn lines(text: &[u8]) -> HashMap<&[u8], usize> {
    let mut counts = HashMap::new();
    // A last line without its newline is the same line as one with it.
    for line in text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n') {
        *counts.entry(line).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_moving_lines_counts() {
        assert!(is_rearranged(b"a\nb\nc\n", b"c\na\nb\n"));
        assert!(is_rearranged(b"a\nb", b"b\na\n"));
        for (before, after) in [
            ("a\nb\n", "a\nb\n"),
            ("a\nb\n", "a\nb\nc\n"),
            ("a\nb\n", "b\n"),
            ("a\na\nb\n", "b\nb\na\n"),
            ("", "x"),
        ] {
            assert!(!is_rearranged(before.as_bytes(), after.as_bytes()), "{before:?} {after:?}");
        }
    }
}
