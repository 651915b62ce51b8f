//! A project's environment file: the one text that systemd (`EnvironmentFile=`) and a detached start both read.

use std::collections::BTreeMap;

use thiserror::Error;

/// A variable that cannot be written.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EnvError {
    /// The name is not one.
    #[error("`{0}` is not the name of an environment variable")]
    Name(String),
    /// The value is one that systemd drops; the value itself is never shown.
    #[error("the value of `{0}` contains a control character")]
    Value(String),
}

/// Returns the file's text.
///
/// # Errors
/// When a name is none, or a value holds what systemd would drop.
pub fn render(env: &BTreeMap<String, String>) -> Result<String, EnvError> {
    let mut text = String::new();
    for (name, value) in env {
        check(name, value)?;
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            if matches!(c, '"' | '\\' | '$' | '`') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push_str("\"\n");
    }
    Ok(text)
}

/// Reads a file's text as systemd does: `NAME=value` lines, quotes, comments; a line that is none is skipped.
pub fn parse(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line_end = rest.find('\n').unwrap_or(rest.len());
        let line = rest.get(..line_end).unwrap_or(rest).trim_start();
        let Some((name, _)) = line.split_once('=').filter(|_| !line.starts_with(['#', ';'])) else {
            rest = rest.get(line_end + 1..).unwrap_or("");
            continue;
        };
        let name = name.trim().to_owned();
        let after = rest.split_once('=').map_or("", |(_, after)| after);
        let (value, left) = value(after);
        rest = left;
        if check(&name, &value).is_ok() {
            pairs.push((name, value));
        }
    }
    pairs
}

/// Reads one value up to its line's end and returns it with what follows.
fn value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut quote: Option<char> = None;
    let mut chars = text.char_indices().peekable();
    let mut trimmed = 0;
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, '\n') => {
                value.truncate(trimmed.max(value.trim_end().len()));
                return (value, text.get(at + 1..).unwrap_or(""));
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => {
                quote = None;
                trimmed = value.len();
            }
            (Some('\''), c) => value.push(c),
            (Some(_), '\\') => match chars.peek().map(|&(_, next)| next) {
                Some('\n') => drop(chars.next()),
                Some(next @ ('"' | '\\' | '$' | '`')) => {
                    value.push(next);
                    chars.next();
                }
                Some(_) | None => value.push('\\'),
            },
            (None, '\\') => match chars.next() {
                Some((_, '\n')) | None => {}
                Some((_, next)) => value.push(next),
            },
            (None, c) if c.is_whitespace() && value.is_empty() => {}
            (None | Some(_), c) => value.push(c),
        }
    }
    value.truncate(trimmed.max(value.trim_end().len()));
    (value, "")
}

fn check(name: &str, value: &str) -> Result<(), EnvError> {
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(EnvError::Name(name.to_owned()));
    }
    if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(EnvError::Value(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn every_value_reads_back_as_it_was() {
        let env: BTreeMap<String, String> = pairs(&[
            ("A", "plain"),
            ("B", "two words"),
            ("C", "q\"u'o\\te $HOME `x` # ;"),
            ("D", ""),
            ("E", "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"),
            ("F", "  blanks  "),
            ("G", "a=b=c"),
        ])
        .into_iter()
        .collect();
        let text = render(&env).unwrap();
        assert_eq!(parse(&text).into_iter().collect::<BTreeMap<_, _>>(), env);
    }

    #[test]
    fn reads_what_people_write_by_hand() {
        let text =
            "# comment\n; too\n\nA=1\n  B = two words  \nC='single $x'\nnot a line\nD=\"a\" \n1X=no\nE=last";
        let expected = [("A", "1"), ("B", "two words"), ("C", "single $x"), ("D", "a"), ("E", "last")];
        assert_eq!(parse(text), pairs(&expected));
    }

    #[test]
    fn names_and_values_systemd_would_drop_are_refused_without_showing_the_value() {
        let with = |name: &str, value: &str| render(&pairs(&[(name, value)]).into_iter().collect());
        assert_eq!(with("A-B", "x"), Err(EnvError::Name("A-B".into())));
        assert_eq!(with("A", "top\0secret"), Err(EnvError::Value("A".into())));
        assert!(!EnvError::Value("A".into()).to_string().contains("secret"));
    }
}
