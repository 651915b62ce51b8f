//! Reading `[...]`: which ranges there are, and where one is wrong.

use std::ops::Range;

use super::pattern::{MAX_NAMES, Pattern, Run, Segment, Style};

/// Longest number in a range, in digits: what surely fits 64 bits.
const MAX_DIGITS: usize = 18;

/// Why a pattern cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RangeError {
    /// The bytes of the pattern that are wrong.
    pub at: Range<usize>,
    /// What is wrong with them.
    pub message: String,
}

fn wrong<T>(at: Range<usize>, message: impl Into<String>) -> Result<T, RangeError> {
    Err(RangeError { at, message: message.into() })
}

/// Reads a whole pattern.
pub(super) fn pattern(text: &str) -> Result<Pattern, RangeError> {
    let mut segments = Vec::new();
    let mut count: u64 = 1;
    let mut rest = text;
    let offset = |rest: &str| text.len() - rest.len();
    while !rest.is_empty() {
        let plain = rest.find(['[', ']']).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(plain);
        if !head.is_empty() {
            segments.push(Segment::Text(head.to_owned()));
        }
        rest = tail;
        if rest.is_empty() {
            break;
        }
        let start = offset(rest);
        let Some(inner) = rest.strip_prefix('[') else {
            return wrong(start..start + 1, "`]` without a `[` before it");
        };
        let Some(end) = inner.find([']', '[']).filter(|end| inner[*end..].starts_with(']')) else {
            return wrong(start..start + 1, "`[` is not closed by a `]`");
        };
        let (body, after) = inner.split_at(end);
        let runs = set(body, start + 1)?;
        count = runs.iter().fold(0, |sum: u64, run| sum.saturating_add(run.count())).saturating_mul(count);
        if count > MAX_NAMES as u64 {
            let message = format!("the pattern stands for more than {MAX_NAMES} names");
            return wrong(start..start + end + 2, message);
        }
        segments.push(Segment::Set(runs));
        rest = after.strip_prefix(']').unwrap_or(after);
    }
    let count = usize::try_from(count).unwrap_or(MAX_NAMES);
    Ok(Pattern { segments, count })
}

/// Reads what stands between brackets, which begins at byte `start` of the pattern.
fn set(body: &str, start: usize) -> Result<Vec<Run>, RangeError> {
    let mut at = start;
    let mut runs = Vec::new();
    for item in body.split(',') {
        runs.push(run(item, at)?);
        at += item.len() + 1;
    }
    Ok(runs)
}

/// Reads one item: `7`, `1-5`, `01:05`, `a-f`, `0-10/2`.
fn run(item: &str, at: usize) -> Result<Run, RangeError> {
    let whole = at..at + item.len();
    if item.is_empty() {
        return wrong(at..at + 1, "expected a range as in [1-5], [01:20], [a-f] or [0-10/2]");
    }
    let (span, step) = match item.split_once('/') {
        Some((span, step)) => {
            let from = at + span.len() + 1;
            match number(step) {
                Some(step) if step > 0 => (span, step),
                Some(_) => return wrong(from..whole.end, "a step is at least 1"),
                None => return wrong(from..whole.end.max(from + 1), "expected a number as the step"),
            }
        }
        None => (item, 1),
    };
    let (low, high) = span.split_once(['-', ':']).unwrap_or((span, span));
    let low_at = at..at + low.len().max(1);
    let high_at = if low.len() == span.len() {
        low_at.clone()
    } else {
        at + low.len() + 1..(at + span.len()).max(at + low.len() + 2)
    };
    let (first, style) = bound(low, low_at)?;
    let (last, high_style) = bound(high, high_at.clone())?;
    let style = match (style, high_style) {
        (Style::Letter, Style::Letter) => Style::Letter,
        (Style::Number { width }, Style::Number { width: other }) => {
            if other != 0 && other != width {
                return wrong(high_at, "both ends are padded to the same width, as in [01-20]");
            }
            Style::Number { width }
        }
        (Style::Letter, Style::Number { .. }) | (Style::Number { .. }, Style::Letter) => {
            return wrong(whole, "a range goes from number to number or from letter to letter");
        }
    };
    if style == Style::Letter && is_upper(first) != is_upper(last) {
        return wrong(whole, "a range of letters stays in upper or in lower case");
    }
    if first > last {
        return wrong(whole, "the range ends before it begins");
    }
    Ok(Run { first, last, step, style })
}

/// Reads one end of a range. The width is 0 where no zero leads.
fn bound(text: &str, at: Range<usize>) -> Result<(u64, Style), RangeError> {
    if let [letter] = text.as_bytes()
        && letter.is_ascii_alphabetic()
    {
        return Ok(((*letter).into(), Style::Letter));
    }
    let width = if text.len() > 1 && text.starts_with('0') { text.len() } else { 0 };
    match number(text) {
        Some(value) => Ok((value, Style::Number { width })),
        None if text.len() > MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            wrong(at, format!("a number in a range has at most {MAX_DIGITS} digits"))
        }
        None => wrong(at, "expected a number or a letter, as in [1-5], [01:20], [a-f] or [0-10/2]"),
    }
}

fn number(text: &str) -> Option<u64> {
    let digits =
        !text.is_empty() && text.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn is_upper(code: u64) -> bool {
    (u64::from(b'A')..=u64::from(b'Z')).contains(&code)
}
