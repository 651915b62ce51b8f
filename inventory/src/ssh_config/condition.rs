//! The criteria of a `Match` line.

use super::line::split_word;
use super::pattern;

/// A `Match` line: all criteria have to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition(Vec<Criterion>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Criterion {
    negated: bool,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    All,
    /// `final` and `canonical`: both hold in the second pass only, once host names stay as they are.
    SecondPass {
        asks_for_it: Asks,
    },
    Host(String),
    OriginalHost(String),
    User(String),
    LocalUser(String),
    /// A criterion that files cannot answer.
    Ask(String),
}

/// Whether a criterion makes OpenSSH read its files a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Yes,
    No,
}

/// What a condition is held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) host: &'a str,
    pub(super) original_host: &'a str,
    pub(super) user: &'a str,
    pub(super) local_user: &'a str,
    pub(super) pass: Pass,
}

/// Which reading of the files this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    First,
    Second,
}

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    Fails,
    /// It would depend on this criterion.
    Ask(String),
}

impl Condition {
    /// Reads everything after `Match`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut criteria: Vec<Criterion> = Vec::new();
        let mut rest = text;
        let unclosed = || "a quote is not closed".to_owned();
        while !rest.is_empty() && !rest.starts_with('#') {
            let (word, after) = split_word(rest).ok_or_else(unclosed)?;
            rest = after;
            let (negated, name) = match word.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, word),
            };
            let lower = name.to_ascii_lowercase();
            let simple = match lower.as_str() {
                "all" => Some(Kind::All),
                "final" => Some(Kind::SecondPass { asks_for_it: Asks::Yes }),
                "canonical" => Some(Kind::SecondPass { asks_for_it: Asks::No }),
                _ => None,
            };
            if let Some(kind) = simple {
                if kind == Kind::All && (criteria.len() > 1 || !(rest.is_empty() || rest.starts_with('#'))) {
                    return Err("Match all cannot be combined with other criteria".into());
                }
                criteria.push(Criterion { negated, kind });
                continue;
            }
            let (value, after) = split_word(rest).ok_or_else(unclosed)?;
            if value.is_empty() || value.starts_with('#') {
                return Err(format!("Match {name} has no value"));
            }
            rest = after;
            let value = value.to_owned();
            let kind = match lower.as_str() {
                "host" => Kind::Host(value),
                "originalhost" => Kind::OriginalHost(value),
                "user" => Kind::User(value),
                "localuser" => Kind::LocalUser(value),
                "exec" | "localnetwork" | "tagged" | "version" | "sessiontype" | "command" => {
                    Kind::Ask(lower)
                }
                _ => return Err(format!("Match has no criterion {name:?}")),
            };
            criteria.push(Criterion { negated, kind });
        }
        if criteria.is_empty() {
            return Err("Match has no criterion".into());
        }
        Ok(Self(criteria))
    }

    /// Whether it makes OpenSSH read its files a second time.
    pub(super) fn asks_for_second_pass(&self) -> bool {
        let asks = |criterion: &Criterion| criterion.kind == Kind::SecondPass { asks_for_it: Asks::Yes };
        self.0.iter().any(asks)
    }

    pub(super) fn holds(&self, facts: &Facts<'_>) -> Verdict {
        let mut ask = None;
        for Criterion { negated, kind } in &self.0 {
            let holds = match kind {
                Kind::All => true,
                Kind::SecondPass { .. } => facts.pass == Pass::Second,
                Kind::Host(list) => pattern::host_list_matches(facts.host, list),
                Kind::OriginalHost(list) => pattern::host_list_matches(facts.original_host, list),
                Kind::User(list) => pattern::list_matches(facts.user, list),
                Kind::LocalUser(list) => pattern::list_matches(facts.local_user, list),
                Kind::Ask(name) => {
                    ask.get_or_insert_with(|| name.clone());
                    continue;
                }
            };
            if holds == *negated {
                return Verdict::Fails;
            }
        }
        ask.map_or(Verdict::Holds, Verdict::Ask)
    }
}
