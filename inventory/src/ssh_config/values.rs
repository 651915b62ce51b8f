//! The values of honoured keywords: how they are written and what they mean.

use std::path::PathBuf;

use super::keywords::Form;
use super::line::SPACE;

/// `StrictHostKeyChecking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrictHostKeyChecking {
    /// Unknown and changed keys are refused.
    Yes,
    /// Anything goes.
    No,
    /// The user is asked.
    Ask,
    /// Unknown keys are recorded, changed ones refused.
    AcceptNew,
}

/// `AddressFamily`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFamily {
    /// Both.
    Any,
    /// IPv4 alone.
    Inet,
    /// IPv6 alone.
    Inet6,
}

/// `IdentityAgent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityAgent {
    /// No agent.
    None,
    /// The agent whose socket this environment variable names; `SSH_AUTH_SOCK` if nothing is set.
    Variable(String),
    /// The agent at this socket.
    Socket(PathBuf),
}

/// A list of algorithms, or a change to OpenSSH's own list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithms {
    /// What the names do to the list.
    pub change: AlgorithmChange,
    /// The names; with [`AlgorithmChange::Remove`] they may hold `*` and `?`.
    pub names: Vec<String>,
}

/// What names do to a list of algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlgorithmChange {
    /// They are the list.
    Replace,
    /// `+`: they are added at the end.
    Append,
    /// `-`: they are taken away.
    Remove,
    /// `^`: they are moved to the beginning.
    Prepend,
}

/// Checks that a value is written as its keyword wants it.
pub(super) fn check(form: Form, words: &[String], rest: &str) -> Result<(), String> {
    let [first, more @ ..] = words else {
        return Err("the value is missing".into());
    };
    match form {
        Form::Command | Form::Jump => {
            return if command(rest).is_empty() { Err("the value is empty".into()) } else { Ok(()) };
        }
        Form::Paths => return paths(words),
        Form::Text
        | Form::Flag
        | Form::Pubkey
        | Form::Number
        | Form::Port
        | Form::Time
        | Form::Strict
        | Form::Family
        | Form::Algorithms
        | Form::Path
        | Form::Agent => {}
    }
    if !more.is_empty() {
        return Err("there is more than one value".into());
    }
    if first.is_empty() {
        return Err("the value is empty".into());
    }
    let (fits, expected) = match form {
        Form::Flag => (flag(first).is_some(), "yes or no"),
        Form::Pubkey => (pubkey(first).is_some(), "yes, no, unbound or host-bound"),
        Form::Number => (number(first).is_some(), "a whole number"),
        Form::Port => (port(first).is_some(), "a port from 1 to 65535"),
        Form::Time => (time(first).is_some(), "a time such as 30 or 1m30s"),
        Form::Strict => (strict(first).is_some(), "yes, no, ask or accept-new"),
        Form::Family => (family(first).is_some(), "any, inet or inet6"),
        Form::Algorithms => (algorithms(first).is_some(), "names separated by commas"),
        Form::Text | Form::Command | Form::Jump | Form::Path | Form::Paths | Form::Agent => (true, ""),
    };
    if fits { Ok(()) } else { Err(format!("{first:?} is not {expected}")) }
}

fn paths(words: &[String]) -> Result<(), String> {
    if words.iter().any(String::is_empty) {
        return Err("a value is empty".into());
    }
    if words.len() > 1 && words.iter().any(|word| is_none(word)) {
        return Err("\"none\" stands alone".into());
    }
    Ok(())
}

/// The command of a line, as it stands.
pub(super) fn command(rest: &str) -> &str {
    rest.trim_start_matches(SPACE).trim_start_matches([' ', '\t', '\r', '\n', '='])
}

pub(super) fn is_none(word: &str) -> bool {
    word.eq_ignore_ascii_case("none")
}

pub(super) fn flag(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

pub(super) fn pubkey(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "unbound" | "host-bound" => Some(true),
        _ => flag(word),
    }
}

pub(super) fn number(word: &str) -> Option<u32> {
    word.parse::<u32>().ok().filter(|number| i32::try_from(*number).is_ok())
}

pub(super) fn port(word: &str) -> Option<u16> {
    match word {
        "ssh" => Some(22),
        _ if word.starts_with('+') => None,
        _ => word.parse().ok().filter(|port| *port > 0),
    }
}

/// Reads seconds, or numbers with the units s, m, h, d and w; `Some(None)` for `none`.
pub(super) fn time(word: &str) -> Option<Option<u32>> {
    if word == "none" {
        return Some(None);
    }
    let mut total: u64 = 0;
    let mut rest = word;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let mut units = after.chars();
        let unit = match units.next() {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => 60,
            Some('h' | 'H') => 3600,
            Some('d' | 'D') => 86_400,
            Some('w' | 'W') => 604_800,
            Some(_) => return None,
        };
        rest = units.as_str();
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
    }
    let seconds = i32::try_from(total).ok().filter(|_| !word.is_empty())?;
    u32::try_from(seconds).ok().map(Some)
}

pub(super) fn strict(word: &str) -> Option<StrictHostKeyChecking> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "true" => Some(StrictHostKeyChecking::Yes),
        "no" | "false" | "off" => Some(StrictHostKeyChecking::No),
        "ask" => Some(StrictHostKeyChecking::Ask),
        "accept-new" => Some(StrictHostKeyChecking::AcceptNew),
        _ => None,
    }
}

pub(super) fn family(word: &str) -> Option<AddressFamily> {
    match word.to_ascii_lowercase().as_str() {
        "any" => Some(AddressFamily::Any),
        "inet" => Some(AddressFamily::Inet),
        "inet6" => Some(AddressFamily::Inet6),
        _ => None,
    }
}

pub(super) fn algorithms(word: &str) -> Option<Algorithms> {
    let (change, list) = match word.split_at_checked(1) {
        Some(("+", list)) => (AlgorithmChange::Append, list),
        Some(("-", list)) => (AlgorithmChange::Remove, list),
        Some(("^", list)) => (AlgorithmChange::Prepend, list),
        Some(_) | None => (AlgorithmChange::Replace, word),
    };
    let names: Vec<String> = list.split(',').map(str::to_owned).collect();
    if names.iter().any(String::is_empty) { None } else { Some(Algorithms { change, names }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (word, expected) in [
            ("30", Some(Some(30))),
            ("1m30s", Some(Some(90))),
            ("1H", Some(Some(3600))),
            ("2w", Some(Some(1_209_600))),
            ("none", Some(None)),
            ("", None),
            ("m", None),
            ("1x", None),
            ("-1", None),
            ("99999999999", None),
        ] {
            assert_eq!(time(word), expected, "{word}");
        }
    }

    #[test]
    fn algorithm_lists_may_change_the_defaults() {
        let read = |word: &str| algorithms(word).map(|list| (list.change, list.names.join(" ")));
        assert_eq!(read("a,b"), Some((AlgorithmChange::Replace, "a b".into())));
        assert_eq!(read("+a"), Some((AlgorithmChange::Append, "a".into())));
        assert_eq!(read("-*cbc"), Some((AlgorithmChange::Remove, "*cbc".into())));
        assert_eq!(read("^a,b"), Some((AlgorithmChange::Prepend, "a b".into())));
        assert_eq!(read("a,,b"), None);
        assert_eq!(read("+"), None);
    }
}
