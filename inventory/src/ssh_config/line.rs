//! One line of an OpenSSH configuration: its keyword, its words, and the rest as it stands.

/// A line with a keyword.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'t> {
    pub(super) keyword: &'t str,
    /// Everything after the keyword.
    pub(super) rest: &'t str,
    /// The words after the keyword: quotes and escapes taken off, comment dropped.
    pub(super) words: Vec<String>,
}

/// What OpenSSH takes for space inside a line.
pub(super) const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Reads a line; `None` if it is blank or a comment.
pub(super) fn parse(line: &str) -> Result<Option<Line<'_>>, String> {
    let line = line.trim_end_matches([' ', '\t', '\r', '\n', '\u{c}']).trim_start_matches(SPACE);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (keyword, rest) = split_word(line).ok_or("a quote is not closed")?;
    if keyword.is_empty() {
        return Err("the line has no keyword".into());
    }
    let rest = rest.trim_start_matches(SPACE);
    if rest.is_empty() {
        return Err(format!("{keyword} has no value"));
    }
    let words = words(rest).ok_or("a quote is not closed")?;
    Ok(Some(Line { keyword, rest, words }))
}

/// Takes the first word off: it ends at space or `=`, or is quoted; one `=` between space is taken off too.
///
/// `None` if a quote is not closed.
pub(super) fn split_word(text: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (word, rest) = quoted.split_once('"')?;
        return Some((word, rest.trim_start_matches(SPACE)));
    }
    let end = text.find([' ', '\t', '\r', '\n', '=']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let Some(after) = rest.strip_prefix('=') else {
        let rest = rest.trim_start_matches(SPACE);
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        return Some((word, rest.trim_start_matches(SPACE)));
    };
    Some((word, after.trim_start_matches(SPACE)))
}

/// Splits at spaces; both kinds of quotes and a backslash before a quote, a backslash or a space work as in OpenSSH.
///
/// `None` if a quote is not closed.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut letters = text.chars().peekable();
    loop {
        while letters.next_if(|letter| matches!(letter, ' ' | '\t')).is_some() {}
        if letters.peek().is_none_or(|first| *first == '#') {
            return Some(words);
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(letter) = letters.next() {
            let escaped =
                |next: &char| matches!(next, '\'' | '"' | '\\') || (quote.is_none() && *next == ' ');
            match (letter, quote) {
                ('\\', _) => word.push(letters.next_if(escaped).unwrap_or('\\')),
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(letter),
                (_, Some(open)) if letter == open => quote = None,
                _ => word.push(letter),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, keyword: &str, expected: &[&str]) {
        let parsed = parse(line).unwrap().unwrap();
        assert_eq!(
            (parsed.keyword, parsed.words.as_slice()),
            (keyword, expected.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>().as_slice()),
            "{line}"
        );
    }

    #[test]
    fn keyword_and_words_are_split_as_openssh_does() {
        check("Port 22", "Port", &["22"]);
        check("  Port\t22  \u{c}", "Port", &["22"]);
        check("Port=22", "Port", &["22"]);
        check("Port = 22", "Port", &["22"]);
        check("Port ==22", "Port", &["=22"]);
        check("\"Port\" 22", "Port", &["22"]);
        check("Host a \"b c\" 'd e' f\\ g", "Host", &["a", "b c", "d e", "f g"]);
        check("Host a # b", "Host", &["a"]);
        check("Host a#b", "Host", &["a#b"]);
        check("Host a\\b \\\" \"\\\\\"", "Host", &["a\\b", "\"", "\\"]);
        check("Host \"\" x", "Host", &["", "x"]);
    }

    #[test]
    fn blank_lines_and_comments_say_nothing() {
        for line in ["", "   ", "# Port 22", "\t#", "\r"] {
            assert_eq!(parse(line), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn a_line_without_value_or_with_an_open_quote_is_wrong() {
        for line in ["Port", "Port =", "Host \"a", "Host 'a", "\"Port 22", "= 22"] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
