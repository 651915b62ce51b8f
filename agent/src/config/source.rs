//! A file's text, and what is wrong with it: line, column, the line itself and a caret.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use crate::masking::mask;

/// Something wrong at a place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes.
    pub span: Range<usize>,
    /// What is wrong; a lower-case fragment.
    pub message: String,
    /// What stands beside the caret, such as the nearest known name.
    pub note: Option<String>,
}

impl Problem {
    /// Returns a problem without a note.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Problem {
        Problem { span, message: message.into(), note: None }
    }

    /// Adds what stands beside the caret.
    pub fn noted(mut self, note: Option<String>) -> Problem {
        self.note = note;
        self
    }
}

/// Returns `path:line:column: message` with the line and a caret below it.
pub fn render(path: &Path, text: &str, problem: &Problem) -> String {
    let start = floor(text, problem.span.start);
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let number = line_number(text, start);
    let indent = text.get(line_start..start).unwrap_or_default();
    let line = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
    let end = floor(text, problem.span.end).clamp(start, line_start + line.len().max(start - line_start));
    let marked = text.get(start..end).unwrap_or_default().chars().count().max(1);
    let gutter = " ".repeat(number.to_string().len());
    let mut out =
        format!("{}:{number}:{}: {}\n", path.display(), indent.chars().count() + 1, problem.message);
    let blank: String = indent.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "{gutter} |\n{number} | {}\n{gutter} | {blank}{}",
        mask(line),
        "^".repeat(marked.min(80))
    );
    if let Some(note) = &problem.note {
        let _ = write!(out, " {note}");
    }
    out
}

/// Returns the number of the line a place is in, from 1.
pub fn line_number(text: &str, at: usize) -> usize {
    text.get(..floor(text, at)).unwrap_or_default().matches('\n').count() + 1
}

/// Returns the name among `known` that was probably meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    scored
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, span: Range<usize>, expected: &str) {
        let problem = Problem::new(span, "is wrong").noted(Some("here".into()));
        assert_eq!(render(Path::new("a.toml"), text, &problem), expected);
    }

    #[test]
    fn the_caret_stands_below_what_is_wrong() {
        check("a = 1\nbcd = 2\n", 6..9, "a.toml:2:1: is wrong\n  |\n2 | bcd = 2\n  | ^^^ here");
        check("é = x", 5..6, "a.toml:1:5: is wrong\n  |\n1 | é = x\n  |     ^ here");
        check("", 0..0, "a.toml:1:1: is wrong\n  |\n1 | \n  | ^ here");
        check("a = '''\nb\n'''", 4..13, "a.toml:1:5: is wrong\n  |\n1 | a = '''\n  |     ^^^ here");
    }

    #[test]
    fn a_secret_in_the_line_is_not_shown() {
        check(
            "env = { API_TOKEN = \"abc\" }",
            0..3,
            "a.toml:1:1: is wrong\n  |\n1 | env = { API_TOKEN = [masked] }\n  | ^^^ here",
        );
    }

    #[test]
    fn a_place_behind_the_text_is_its_end() {
        check("ab\n", 90..99, "a.toml:2:1: is wrong\n  |\n2 | \n  | ^ here");
    }

    #[test]
    fn only_a_similar_name_is_nearest() {
        assert_eq!(nearest("comand", ["command", "name"]), Some("command"));
        assert_eq!(nearest("zzz", ["command", "name"]), None);
    }
}
