//! A name with ranges in it, and the names it stands for.

use std::fmt::Write as _;

use super::parse::{self, RangeError};

/// Most names one pattern may stand for.
pub const MAX_NAMES: usize = 100_000;

/// A name in which `[...]` stands for several spellings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pub(super) segments: Vec<Segment>,
    pub(super) count: usize,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Text(String),
    Set(Vec<Run>),
}

/// Equidistant numbers or letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) step: u64,
    pub(super) style: Style,
}

/// How a member of a run is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Decimal, padded with zeros to so many digits.
    Number { width: usize },
    /// The letter with this code.
    Letter,
}

impl Pattern {
    /// Reads a pattern; anything outside brackets is taken as it is.
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        parse::pattern(text)
    }

    /// How many names the pattern stands for: at least 1, at most [`MAX_NAMES`].
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether the pattern has no range, so that it is a name as it stands.
    pub fn is_plain(&self) -> bool {
        !self.segments.iter().any(|segment| matches!(segment, Segment::Set(_)))
    }

    /// The names, the last range turning fastest.
    pub fn expand(&self) -> Vec<String> {
        let mut names = vec![String::new()];
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => names.iter_mut().for_each(|name| name.push_str(text)),
                Segment::Set(runs) => names = multiply(&names, runs),
            }
        }
        names
    }
}

fn multiply(names: &[String], runs: &[Run]) -> Vec<String> {
    let spellings: Vec<String> = runs.iter().flat_map(Run::members).collect();
    let mut product = Vec::with_capacity(names.len() * spellings.len());
    for name in names {
        for spelling in &spellings {
            let mut longer = String::with_capacity(name.len() + spelling.len() + 16);
            longer.push_str(name);
            longer.push_str(spelling);
            product.push(longer);
        }
    }
    product
}

impl Run {
    pub(super) fn count(&self) -> u64 {
        ((self.last - self.first) / self.step).saturating_add(1)
    }

    fn members(&self) -> impl Iterator<Item = String> + use<> {
        let Run { first, step, style, .. } = *self;
        // The product stays below `last`, which is a u64.
        (0..self.count()).map(move |nth| style.write(first + nth * step))
    }
}

impl Style {
    fn write(self, value: u64) -> String {
        let mut text = String::new();
        match self {
            Self::Number { width } => {
                write!(text, "{value:0width$}").expect("writing to a string cannot fail");
            }
            Self::Letter => text.extend(u8::try_from(value).map(char::from)),
        }
        text
    }
}
