//! Text of other machines, made safe for a terminal: what is shown cannot move the cursor, recolour the screen or
//! reorder its neighbours. Pure.

use std::str::Chars;

use unicode_width::UnicodeWidthChar;

/// The most of one text that is looked at, in bytes: a line of a log may be long, a screen is not.
const MOST: usize = 4096;
/// What a character that cannot be shown becomes.
const UNKNOWN: char = '\u{fffd}';

/// Returns the text as one line without control characters; escape sequences, as logs have them, are left out whole.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MOST));
    let mut chars = text.chars();
    while let Some(one) = chars.next() {
        if out.len() >= MOST {
            break;
        }
        match one {
            '\u{1b}' => skip_sequence(&mut chars),
            '\t' => out.push(' '),
            _ if is_invisible(one) => {}
            _ if is_hostile(one) => out.push(UNKNOWN),
            _ => out.push(one),
        }
    }
    out
}

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

/// Reads over the rest of an escape sequence; of one that is none, only the escape itself is gone.
fn skip_sequence(chars: &mut Chars<'_>) {
    let mut ahead = chars.clone();
    let whole = match ahead.next() {
        // A control sequence: parameters, then one final character.
        Some('[') => loop {
            match ahead.next() {
                Some('\u{20}'..='\u{3f}') => {}
                Some('\u{40}'..='\u{7e}') => break true,
                Some(_) | None => break false,
            }
        },
        // A command to the terminal itself, such as its title: up to BEL or ESC \.
        Some(']') => loop {
            match ahead.next() {
                Some('\u{7}') => break true,
                Some('\u{1b}') => break ahead.next() == Some('\\'),
                Some(_) => {}
                None => break false,
            }
        },
        Some(_) | None => false,
    };
    if whole {
        *chars = ahead;
    }
}

/// Whether a character changes how others are shown and takes no room itself: joiners and variation selectors.
fn is_invisible(one: char) -> bool {
    matches!(one, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ad}')
}

/// Whether a character controls the terminal or the direction of text.
fn is_hostile(one: char) -> bool {
    one.is_control()
        || matches!(one, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_host_says_controls_the_terminal() {
        for (said, shown) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("\u{1b}[2Jcleared\rover\u{8}\u{7f}\u{9b}31m", "cleared\u{fffd}over\u{fffd}\u{fffd}\u{fffd}31m"),
            ("\u{1b}[", "["),
            ("a\tb\nc", "a b\u{fffd}c"),
            ("\u{202e}evil\u{2066}", "\u{fffd}evil\u{fffd}"),
            ("e\u{301} \u{65e5}\u{672c}\u{fe0f}", "e\u{301} \u{65e5}\u{672c}"),
        ] {
            assert_eq!(plain(said), shown, "{said:?}");
        }
        assert!(plain(&"x".repeat(100_000)).len() <= MOST);
    }

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
