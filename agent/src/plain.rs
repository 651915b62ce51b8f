//! Text of others, made safe for a terminal: what is shown cannot move the cursor, recolour the screen or reorder its
//! neighbours. Pure.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::str::Chars;

/// The most of one line that is looked at, in bytes: a line of a log may be long, a screen is not.
const MOST: usize = 4096;
/// What a character that cannot be shown becomes.
const UNKNOWN: char = '\u{fffd}';

/// Who reads what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// A terminal, which would obey what is in a text.
    Terminal,
    /// A file or a program, which gets every byte.
    Pipe,
}

impl To {
    /// Returns who reads a stream.
    pub fn of(stream: &impl IsTerminal) -> To {
        if stream.is_terminal() { To::Terminal } else { To::Pipe }
    }
}

/// Returns a text as a reader gets it: for a terminal without escape sequences and control characters other than
/// newlines and tabs, else as it is.
pub fn shown(said: &str, to: To) -> Cow<'_, str> {
    if to == To::Pipe || !said.chars().any(|one| is_hostile(one) && !is_layout(one)) {
        return Cow::Borrowed(said);
    }
    let mut out = String::with_capacity(said.len());
    let mut chars = said.chars();
    while let Some(one) = chars.next() {
        match one {
            '\u{1b}' => skip_sequence(&mut chars),
            '\r' if chars.as_str().starts_with('\n') => {}
            _ if is_hostile(one) && !is_layout(one) => out.push(UNKNOWN),
            _ => out.push(one),
        }
    }
    Cow::Owned(out)
}

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
            '\t' | '\n' | '\r' => out.push(' '),
            _ if is_invisible(one) => {}
            _ if is_hostile(one) => out.push(UNKNOWN),
            _ => out.push(one),
        }
    }
    out
}

/// Reads over the rest of an escape sequence; of one that is none, only the escape itself is gone. None goes beyond its
/// line: the next one may be somebody else's.
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
                Some('\n') | None => break false,
                Some(_) => {}
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

/// Whether a control character only lays lines out.
fn is_layout(one: char) -> bool {
    matches!(one, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a host may say, and what of it is shown as one line.
    const SAID: [(&str, &str); 10] = [
        ("plain", "plain"),
        ("\u{1b}[31mred\u{1b}[0m", "red"),
        ("\u{1b}]0;title\u{7}x", "x"),
        ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
        ("\u{1b}[2Jcleared\rover\u{8}\u{7f}\u{9b}31m", "cleared over\u{fffd}\u{fffd}\u{fffd}31m"),
        ("\u{1b}[", "["),
        ("a\tb\nc", "a b c"),
        ("\u{1b}]0;a\nb\u{7}", "]0;a b\u{fffd}"),
        ("\u{202e}evil\u{2066}", "\u{fffd}evil\u{fffd}"),
        ("e\u{301} \u{65e5}\u{672c}\u{fe0f}", "e\u{301} \u{65e5}\u{672c}"),
    ];

    #[test]
    fn nothing_that_a_host_says_controls_the_terminal() {
        for (said, expected) in SAID {
            assert_eq!(plain(said), expected, "{said:?}");
        }
        assert!(plain(&"x".repeat(100_000)).len() <= MOST);
    }

    #[test]
    fn a_terminal_gets_lines_without_controls_and_a_pipe_every_byte() {
        let every: String = ('\0'..='\u{3000}').collect();
        for said in SAID.iter().map(|(said, _)| *said).chain([every.as_str()]) {
            let on_screen = shown(said, To::Terminal);
            let controls = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
            assert!(!on_screen.contains(controls), "{said:?}");
            assert!(!on_screen.contains(['\u{202e}', '\u{2066}']), "{said:?}");
            assert_eq!(said.matches('\n').count(), on_screen.matches('\n').count(), "{said:?}");
            assert_eq!(shown(said, To::Pipe), said);
        }
        assert_eq!(shown("a\tb\r\nc\rd\n", To::Terminal), "a\tb\nc\u{fffd}d\n");
        assert_eq!(shown("\u{1b}]0;a\nnext: ok\u{7}\n", To::Terminal), "]0;a\nnext: ok\u{fffd}\n");
    }
}
