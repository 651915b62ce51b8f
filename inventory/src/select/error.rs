//! Why a selection chose nothing, with a caret under the reason.

use std::fmt;
use std::ops::Range;

use crate::error::Excerpt;

/// Why a selection could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectError {
    /// What kind of mistake it is.
    pub kind: SelectErrorKind,
    /// The selection, as written.
    pub expression: String,
    /// The bytes of the selection that are wrong.
    pub at: Range<usize>,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
    /// The file and line the selection stands in, if it came through `@file:`.
    pub file: Option<Box<FileLine>>,
}

/// A line of a file named by `@file:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// The ways in which a selection can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectErrorKind {
    /// It does not follow the grammar.
    #[error("{0}")]
    Syntax(String),
    /// A name, a wildcard or an expression matches no host.
    #[error("{0}")]
    NoMatch(String),
    /// Nothing is left at the end.
    #[error("the selection is empty: no host is left")]
    Empty,
    /// There is no earlier run to take `@failed` or `@unreached` from.
    #[error("{0}")]
    NotRemembered(String),
    /// The file of `@file:` cannot be used.
    #[error("{0}")]
    File(String),
}

impl SelectError {
    pub(super) fn new(kind: SelectErrorKind, expression: &str, at: Range<usize>) -> Self {
        Self { kind, expression: expression.into(), at, hint: None, file: None }
    }

    pub(super) fn syntax(message: impl Into<String>, expression: &str, at: Range<usize>) -> Self {
        Self::new(SelectErrorKind::Syntax(message.into()), expression, at)
    }

    pub(super) fn no_match(message: impl Into<String>, expression: &str, at: Range<usize>) -> Self {
        Self::new(SelectErrorKind::NoMatch(message.into()), expression, at)
    }

    pub(super) fn with_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// What is wrong, on one line, without the caret.
    pub fn message(&self) -> String {
        match &self.file {
            Some(place) => format!("{}:{}: {}", place.file, place.line, self.kind),
            None => self.kind.to_string(),
        }
    }
}

impl fmt::Display for SelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let excerpt = Excerpt::new(&self.expression, self.at.start, self.at.end);
        write!(f, "{}\n  {}\n  {}", self.message(), excerpt.text, excerpt.caret())?;
        match &self.hint {
            Some(hint) => write!(f, " {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SelectError {}
