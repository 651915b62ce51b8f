//! How much of a text fits: columns, cuts and lines. Pure.

use unicode_width::UnicodeWidthChar;

/// Returns as much of a line as fits into so many columns; what is cut ends with an ellipsis.
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for one in text.chars() {
        let wide = one.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(one);
    }
    if columns > 0 {
        out.push('\u{2026}');
    }
    out
}

/// Returns the lines of a text that is broken between words, at most so many.
pub fn wrap(text: &str, columns: usize, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines.len() >= most;
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if full || width(line) + 1 + width(word) <= columns {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.iter().map(|line| fit(line, columns)).collect()
}

/// Returns how many columns a text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(|one| one.width().unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_character_is_never_cut_in_half() {
        for (text, columns, shown) in [
            ("pi07.lan", 8, "pi07.lan"),
            ("pi07.lan", 5, "pi07\u{2026}"),
            ("\u{65e5}\u{672c}\u{8a9e}", 6, "\u{65e5}\u{672c}\u{8a9e}"),
            ("\u{65e5}\u{672c}\u{8a9e}", 5, "\u{65e5}\u{672c}\u{2026}"),
            ("\u{65e5}\u{672c}\u{8a9e}", 4, "\u{65e5}\u{2026}"),
            ("abc", 1, "\u{2026}"),
            ("abc", 0, ""),
        ] {
            assert_eq!(fit(text, columns), shown);
            assert!(width(&fit(text, columns)) <= columns);
        }
    }

    #[test]
    fn a_text_is_broken_between_words_and_the_last_line_is_cut() {
        assert_eq!(wrap("one two three four", 9, 2), ["one two", "three fo\u{2026}"]);
        assert_eq!(wrap("", 9, 2), [""]);
        assert_eq!(wrap("incomprehensible", 6, 3), ["incom\u{2026}"]);
    }
}
