//! The text of one file and everything found wrong in it so far.

use std::ops::Range;
use std::path::Path;

use crate::error::{Excerpt, Problem, Problems};

/// Most problems of one file that are kept with their text; the rest is counted.
const KEPT: usize = 200;

/// Collects the problems of one file.
pub(crate) struct Report<'s> {
    path: &'s Path,
    text: &'s str,
    line_starts: Vec<usize>,
    problems: Vec<Problem>,
    more: usize,
}

impl<'s> Report<'s> {
    pub(crate) fn new(text: &'s str, path: &'s Path) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path, text, line_starts, problems: Vec::new(), more: 0 }
    }

    /// The folder that relative paths in the file start at.
    pub(crate) fn folder(&self) -> &'s Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The line, from 1, that holds the byte at `offset`.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Records that the text at `span` is wrong.
    pub(crate) fn problem(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.hinted(span, message, None);
    }

    /// Records that the text at `span` is wrong and what may help.
    pub(crate) fn hinted(&mut self, span: Range<usize>, message: impl Into<String>, hint: Option<String>) {
        if self.problems.len() >= KEPT {
            self.more += 1;
            return;
        }
        let line = self.line(span.start);
        let start = line.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied().unwrap_or(0);
        let rest = self.text.get(start..).unwrap_or("");
        let text = rest.split('\n').next().unwrap_or("").trim_end_matches('\r');
        let (from, upto) = (span.start - start, span.end.saturating_sub(start).min(text.len()));
        let column = text.char_indices().take_while(|(at, _)| *at < from).count() + 1;
        self.problems.push(Problem {
            path: self.path.into(),
            line,
            column,
            message: message.into(),
            hint,
            excerpt: Excerpt::new(text, from, upto.max(from)),
        });
    }

    /// Whether nothing was found wrong so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// What was found, or nothing.
    pub(crate) fn finish(self) -> Result<(), Problems> {
        if self.problems.is_empty() { Ok(()) } else { Err(Problems::new(self.problems, self.more)) }
    }
}
