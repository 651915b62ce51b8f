//! Silences: which alerts are not sent for a while. Pure.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::alert::{AlertState, LABELS};

/// One condition on a label: `host=pi*`, `detector!=hung`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Matcher {
    label: String,
    differs: bool,
    pattern: String,
}

impl FromStr for Matcher {
    type Err = String;

    fn from_str(text: &str) -> Result<Matcher, String> {
        let (label, pattern) =
            text.split_once('=').ok_or_else(|| format!("{text:?} is not LABEL=PATTERN"))?;
        let (label, differs) = match label.strip_suffix('!') {
            Some(label) => (label, true),
            None => (label, false),
        };
        if !LABELS.contains(&label) {
            return Err(format!("no alert has a label {label:?}; there are: {}", LABELS.join(", ")));
        }
        if pattern.is_empty() {
            return Err(format!("{text:?} names no {label}"));
        }
        Ok(Matcher { label: label.to_owned(), differs, pattern: pattern.to_owned() })
    }
}

impl TryFrom<String> for Matcher {
    type Error = String;

    fn try_from(text: String) -> Result<Matcher, String> {
        text.parse()
    }
}

impl From<Matcher> for String {
    fn from(matcher: Matcher) -> String {
        matcher.to_string()
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}={}", self.label, if self.differs { "!" } else { "" }, self.pattern)
    }
}

impl Matcher {
    /// Returns whether the alert's label is as it says. A label the alert does not have is like an empty one.
    pub fn matches(&self, alert: &AlertState) -> bool {
        glob(&self.pattern, alert.label(&self.label).unwrap_or_default()) != self.differs
    }
}

/// Alerts that all of its matchers match are not sent until its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its number, unique in the history.
    pub id: i64,
    /// At least one.
    pub matchers: Vec<Matcher>,
    /// Why, for the others.
    pub comment: String,
    /// Who.
    pub by: String,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

impl Silence {
    /// Returns whether it mutes the alert at `now`.
    pub fn mutes(&self, alert: &AlertState, now: Timestamp) -> bool {
        self.from <= now
            && now < self.until
            && !self.matchers.is_empty()
            && self.matchers.iter().all(|matcher| matcher.matches(alert))
    }
}

/// Returns whether `text` is like `pattern`, where `*` is any text and `?` any character.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Where the last star stands and how much of the text it takes so far: linear in the product, never exponential.
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&one) if one == '?' || Some(&one) == text.get(t) => {
                p += 1;
                t += 1;
            }
            Some(_) | None => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&one| one == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_what_a_shell_would() {
        for (pattern, text, expected) in [
            ("pi*", "pi07", true),
            ("pi?7", "pi07", true),
            ("*.lan", "pi07.lan", true),
            ("p*0*n", "pi07.lan", true),
            ("pi", "pi07", false),
            ("", "", true),
            ("*", "", true),
            ("a*b*c", "a-b-b", false),
            ("*************************b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_matcher_is_read_as_it_is_written_and_wrong_ones_are_named() {
        for text in ["host=pi*", "detector!=hung", "account=team a"] {
            assert_eq!(text.parse::<Matcher>().unwrap().to_string(), text);
        }
        for (text, part) in [("pi07", "LABEL=PATTERN"), ("hosts=pi", "there are: host"), ("host=", "no host")]
        {
            assert!(text.parse::<Matcher>().unwrap_err().contains(part), "{text}");
        }
    }
}
