//! From the text of a selection to its terms and operators.

use std::ops::Range;

use super::error::SelectError;

/// Longest selection that is read, in bytes; longer lists belong into a file.
const MAX_BYTES: usize = 1024 * 1024;

/// One operator with the term right of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) op: Op,
    pub(super) term: Term,
    pub(super) at: Range<usize>,
}

/// What a term does to the hosts left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Union,
    Intersection,
    Difference,
}

/// One set of hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Term {
    All,
    Name(String),
    Group(String),
    Regex(String),
    Failed,
    Unreached,
    File(String),
}

/// Reads a selection.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, SelectError> {
    if text.len() > MAX_BYTES {
        let head: String = text.chars().take(40).collect();
        let end = head.len();
        return Err(SelectError::syntax("the selection is longer than 1 MiB", &head, 0..end)
            .with_hint(Some("put the hosts into a file and name it with @file:PATH".into())));
    }
    let mut at = skip_space(text, 0);
    if at == text.len() {
        return Err(SelectError::syntax("the selection is blank", text, 0..text.len())
            .with_hint(Some("`all` selects every host".into())));
    }
    let mut steps = Vec::new();
    while at < text.len() {
        let (op, start) = operator(text, at, &steps)?;
        let end = term_end(text, start);
        let written = text.get(start..end).unwrap_or("").trim_end();
        let span = start..start + written.len();
        steps.push(Step { op, term: term(text, written, &span)?, at: span });
        at = skip_space(text, end);
    }
    Ok(steps)
}

/// Reads the operator before a term; returns it and where the term begins.
fn operator(text: &str, at: usize, before: &[Step]) -> Result<(Op, usize), SelectError> {
    let first = before.is_empty();
    let mut next = at;
    let mut op = None;
    for (sign, meaning) in [(',', Op::Union), ('&', Op::Intersection)] {
        if text[next..].starts_with(sign) {
            if first {
                let message = format!("expected a host, a group or a pattern before `{sign}`");
                return Err(SelectError::syntax(message, text, at..at + 1));
            }
            op = Some(meaning);
            next = skip_space(text, next + 1);
            break;
        }
    }
    if text[next..].starts_with('!') {
        op = Some(Op::Difference);
        next = skip_space(text, next + 1);
    }
    let Some(op) = op.or(first.then_some(Op::Union)) else {
        let message = "expected `,` (or), `&` (and) or `!` (without) here";
        let end = term_end(text, at).max(at + 1);
        return Err(SelectError::syntax(message, text, at..end));
    };
    match text[next..].chars().next() {
        None => {
            let last = text.trim_end().len();
            let message = "expected a host, a group or a pattern after this";
            Err(SelectError::syntax(message, text, last.saturating_sub(1)..last))
        }
        Some(sign @ (',' | '&' | '!')) => {
            let message = format!("expected a host, a group or a pattern, not another `{sign}`");
            Err(SelectError::syntax(message, text, next..next + 1))
        }
        Some(_) => Ok((op, next)),
    }
}

/// Where the term that begins at `start` ends: at the next operator or space outside brackets.
///
/// An expression after `~` may hold spaces, and a `,`, `&` or `!` inside its brackets or after a backslash; a path
/// after `@file:` may hold spaces.
fn term_end(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let spaced = rest.starts_with('~') || rest.starts_with("@file:");
    let (opening, closing) = if rest.starts_with('~') { ("([{", ")]}") } else { ("[", "]") };
    let mut depth = 0usize;
    let mut escaped = false;
    for (at, letter) in rest.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' && rest.starts_with('~') {
            escaped = true;
        } else if opening.contains(letter) {
            depth += 1;
        } else if closing.contains(letter) {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && (",&!".contains(letter) || (letter.is_whitespace() && !spaced)) {
            return start + at;
        }
    }
    text.len()
}

fn term(text: &str, written: &str, span: &Range<usize>) -> Result<Term, SelectError> {
    let wrong = |message: &str| Err(SelectError::syntax(message, text, span.clone()));
    if let Some(pattern) = written.strip_prefix('~') {
        return match pattern.is_empty() {
            true => wrong("expected a regular expression after `~`"),
            false => Ok(Term::Regex(pattern.to_owned())),
        };
    }
    let Some(group) = written.strip_prefix('@') else {
        return Ok(if written == "all" { Term::All } else { Term::Name(written.to_owned()) });
    };
    if let Some(path) = group.strip_prefix("file:") {
        return match path.trim().is_empty() {
            true => wrong("expected a path after `@file:`"),
            false => Ok(Term::File(path.trim().to_owned())),
        };
    }
    match group {
        "" => wrong("expected the name of a group after `@`"),
        "all" => Ok(Term::All),
        "failed" => Ok(Term::Failed),
        "unreached" => Ok(Term::Unreached),
        name => Ok(Term::Group(name.to_owned())),
    }
}

fn skip_space(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    at + (rest.len() - rest.trim_start().len())
}
