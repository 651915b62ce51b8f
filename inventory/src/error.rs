//! What can be wrong with an inventory file, said so that a person can fix it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// How many problems of one file are written out; the rest is counted.
const SHOWN: usize = 25;

/// Why an inventory could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is larger than an inventory may be.
    #[error("{} has more than {limit} bytes, which is the most an inventory may have", path.display())]
    TooLarge {
        /// The file asked for.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file was read and is wrong.
    #[error("{0}")]
    Invalid(Problems),
}

/// Everything found wrong in one file, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// Takes the problems that were kept, and the number of those that were not.
    pub(crate) fn new(mut list: Vec<Problem>, more: usize) -> Self {
        list.sort_by_key(|problem| (problem.line, problem.column));
        list.dedup();
        Self { list, more }
    }

    /// The problems, in the order of the file; of a hopeless file the first few hundred that were met.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.list.iter().take(SHOWN).enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        match self.list.len().saturating_sub(SHOWN) + self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more problems in this file"),
        }
    }
}

/// One thing wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
    pub(crate) excerpt: Excerpt,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        writeln!(f, "{}:{}:{}: {}", self.path.display(), self.line, self.column, self.message)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", self.excerpt.text)?;
        write!(f, "{gutter} | {}", self.excerpt.caret())?;
        match &self.hint {
            Some(hint) => write!(f, " {hint}"),
            None => Ok(()),
        }
    }
}

/// A piece of text with the part that is meant: what a caret line is drawn under.
///
/// Control characters are replaced, so that a hostile file cannot write to the terminal; a long line is cut to a
/// window around the part that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    pub(crate) text: String,
    before: usize,
    width: usize,
}

/// Widest excerpt in characters.
const WINDOW: usize = 140;

impl Excerpt {
    /// Cuts `line`, of which the bytes `start..end` are meant.
    ///
    /// The cost is that of the window, not of the line: a line may be as long as the file.
    pub(crate) fn new(line: &str, start: usize, end: usize) -> Self {
        let start = boundary(line, start);
        let end = boundary(line, end.max(start));
        let (head, meant) = (line.get(..start).unwrap_or(""), line.get(start..end).unwrap_or(""));
        let window = head.char_indices().rev().nth(WINDOW / 2 - 1).map_or(0, |(at, _)| at);
        let from = if line.len() > WINDOW { window } else { 0 };
        let (lead, rest) = (if from > 0 { "…" } else { "" }, line.get(from..).unwrap_or(""));
        let shown: String = rest.chars().take(WINDOW).map(printable).collect();
        let tail = if rest.chars().nth(WINDOW).is_some() { "…" } else { "" };
        let before = lead.chars().count() + line.get(from..start).unwrap_or("").chars().count();
        let room = (lead.chars().count() + shown.chars().count()).saturating_sub(before).max(1);
        let width = meant.chars().take(WINDOW).count().clamp(1, room);
        Self { text: format!("{lead}{shown}{tail}"), before, width }
    }

    /// The line of carets to put below the text.
    pub(crate) fn caret(&self) -> String {
        format!("{}{}", " ".repeat(self.before), "^".repeat(self.width))
    }
}

/// The last place at or before `at` where a character begins.
fn boundary(line: &str, at: usize) -> usize {
    let at = at.min(line.len());
    (0..=at).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0)
}

fn printable(letter: char) -> char {
    match letter {
        '\t' => ' ',
        control if control.is_control() => '\u{fffd}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_under_what_is_meant() {
        let excerpt = Excerpt::new("pis & !pi3.lan", 7, 14);
        assert_eq!(excerpt.text, "pis & !pi3.lan");
        assert_eq!(excerpt.caret(), "       ^^^^^^^");
    }

    #[test]
    fn a_caret_counts_characters_and_not_bytes() {
        let excerpt = Excerpt::new("ää = bü", 7, 10);
        assert_eq!(excerpt.caret(), "     ^^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret_and_cannot_move_the_cursor() {
        let line = format!("{}\u{1b}[2J{}", "x".repeat(1000), "y".repeat(1000));
        let excerpt = Excerpt::new(&line, 1000, 1004);
        assert!(excerpt.text.chars().count() <= WINDOW + 2);
        assert!(!excerpt.text.contains('\u{1b}'));
        let under: String = excerpt.text.chars().skip(excerpt.before).take(excerpt.width).collect();
        assert_eq!(under, "\u{fffd}[2J");
    }

    #[test]
    fn a_caret_past_the_end_is_one_wide() {
        assert_eq!(Excerpt::new("abc", 3, 3).caret(), "   ^");
    }
}
