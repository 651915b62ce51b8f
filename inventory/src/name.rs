//! Which names are allowed, and why others are refused.
//!
//! Names end up in command lines, paths, unit names and terminals. Everything that would need quoting in any of them
//! is refused here, once, with the reason.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The longest host name or address: what DNS permits.
const MAX_HOST: usize = 253;
/// The longest group, project or user name.
const MAX_WORD: usize = 64;

/// The name of a host of the inventory; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check_host(name)?;
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for HostName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for HostName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for HostName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl PartialEq<str> for HostName {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for HostName {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl Serialize for HostName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {name:?} {why}")]
pub struct NameError {
    /// What kind of name it is.
    pub what: &'static str,
    /// The name, as it was written.
    pub name: String,
    /// The rule it breaks.
    pub why: String,
}

/// Checks the name of a host: letters, digits, `.`, `_`, `-`, `:`; the first one a letter, a digit or `:`.
pub fn check_host(name: &str) -> Result<(), NameError> {
    let rule = Rule { what: "host name", inner: "._-:", first: ":", longest: MAX_HOST };
    rule.check(name)?;
    match name {
        "all" => Err(rule.refuse(name, "means every host in a selection")),
        _ => Ok(()),
    }
}

/// Checks an address: a host name or an IP address, with `%zone` for IPv6 link-local ones.
pub fn check_address(address: &str) -> Result<(), NameError> {
    Rule { what: "address", inner: "._-:%", first: ":", longest: MAX_HOST }.check(address)
}

/// Checks the name of a group.
pub fn check_group(name: &str) -> Result<(), NameError> {
    let rule = Rule { what: "group name", inner: "._-", first: "_", longest: MAX_WORD };
    rule.check(name)?;
    match name {
        "all" => Err(rule.refuse(name, "means every host in a selection")),
        "failed" | "unreached" => Err(rule.refuse(name, "means hosts of the last run in a selection")),
        _ => Ok(()),
    }
}

/// Checks the name of a project: it becomes part of paths and unit names.
pub fn check_project(name: &str) -> Result<(), NameError> {
    Rule { what: "project name", inner: "._-", first: "_", longest: MAX_WORD }.check(name)
}

/// Checks the name of a user on a host.
pub fn check_user(name: &str) -> Result<(), NameError> {
    Rule { what: "user name", inner: "._-@+$", first: "_", longest: MAX_WORD }.check(name)?;
    match name.find('$') {
        Some(at) if at + 1 != name.len() => Err(NameError {
            what: "user name",
            name: name.into(),
            why: "contains '$', which only stands at the end of a machine account".into(),
        }),
        _ => Ok(()),
    }
}

/// Checks free text that is shown and sent on one line: not empty, no control characters.
pub(crate) fn check_line(what: &'static str, text: &str) -> Result<(), NameError> {
    let refuse = |why: &str| Err(NameError { what, name: text.into(), why: why.into() });
    match text.chars().find(|letter| letter.is_control()) {
        _ if text.is_empty() => refuse("is empty"),
        Some(control) => refuse(&format!("contains the control character {}", control.escape_default())),
        None => Ok(()),
    }
}

/// One kind of name: which characters it may have besides ASCII letters and digits.
struct Rule {
    what: &'static str,
    inner: &'static str,
    first: &'static str,
    longest: usize,
}

impl Rule {
    fn check(&self, name: &str) -> Result<(), NameError> {
        if name.is_empty() {
            return Err(self.refuse(name, "is empty"));
        }
        if name.len() > self.longest {
            return Err(self.refuse(name, &format!("is longer than {} bytes", self.longest)));
        }
        for (at, letter) in name.char_indices() {
            let allowed = letter.is_ascii_alphanumeric()
                || self.first.contains(letter)
                || (at > 0 && self.inner.contains(letter));
            if !allowed {
                return Err(self.refuse(name, &self.reason(at, letter)));
            }
        }
        Ok(())
    }

    fn reason(&self, at: usize, letter: char) -> String {
        if letter == '-' && at == 0 {
            return "begins with '-', which a command line would take for an option".into();
        }
        if self.inner.contains(letter) {
            return format!("begins with {letter:?}");
        }
        if !letter.is_ascii() {
            let remedy = match self.what {
                "host name" | "address" => "; write an international name in its ASCII form (xn--...)",
                _ => "",
            };
            return format!("contains {letter:?}: only ASCII is taken{remedy}");
        }
        let also: Vec<String> = self.inner.chars().map(|c| format!("'{c}'")).collect();
        format!("contains {letter:?}: only ASCII letters, digits, {} are taken", also.join(", "))
    }

    fn refuse(&self, name: &str, why: &str) -> NameError {
        let mut shown: String = name.chars().take(80).collect();
        if shown.len() < name.len() {
            shown.push('…');
        }
        NameError { what: self.what, name: shown, why: why.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken() {
        for name in ["pi07.lan", "10.0.0.17", "a", "db_1", "fe80::1", "::1", "xn--bcher-kva.example"] {
            assert_eq!(check_host(name), Ok(()), "{name}");
        }
        assert_eq!(check_address("fe80::1%eth0"), Ok(()));
        for name in ["pi", "root", "a.b", "svc-x", "me@corp", "machine$", "_apt"] {
            assert_eq!(check_user(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_something_would_interpret_are_refused() {
        let bad = [
            "",
            " ",
            "a b",
            "a\tb",
            "a\nb",
            "a'b",
            "a\"b",
            "$(id)",
            "`id`",
            "a;b",
            "a|b",
            "a&b",
            "-oProxyCommand=x",
            "--",
            "a/b",
            "../x",
            "a\\b",
            "a\u{0}b",
            "a\u{1b}[2J",
            "a*",
            "a?",
            "a[1]",
            "{a}",
            "<a",
            "a#b",
            "ü",
            "ｐi",
            "a%b",
            "a,b",
            "!a",
            "~a",
            "a=b",
            "(a)",
            ".hidden",
        ];
        for name in bad {
            assert!(check_host(name).is_err(), "host {name:?}");
            assert!(check_group(name).is_err(), "group {name:?}");
            assert!(check_project(name).is_err(), "project {name:?}");
            assert!(check_user(name).is_err(), "user {name:?}");
        }
        assert!(check_user("$HOME").is_err());
        assert!(check_user("a$b").is_err());
        assert!(check_host("all").is_err());
        assert!(check_group("failed").is_err());
        assert!(check_host(&"a".repeat(254)).is_err());
    }

    #[test]
    fn the_reason_is_a_sentence_about_the_name() {
        let said = |name: &str| check_host(name).unwrap_err().to_string();
        assert_eq!(
            said("-x"),
            "host name \"-x\" begins with '-', which a command line would take for an option"
        );
        assert_eq!(
            said("bücher"),
            "host name \"bücher\" contains 'ü': only ASCII is taken; write an international name in its ASCII form (xn--...)"
        );
        assert_eq!(
            said("a\nb"),
            "host name \"a\\nb\" contains '\\n': only ASCII letters, digits, '.', '_', '-', ':' are taken"
        );
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn no_shell_and_no_program_takes_a_name_for_something_else(
            name in r"[a-zA-Z0-9._:@+$%~*'\x22` -]{1,12}|\PC{1,8}"
        ) {
            let checks = [check_host, check_group, check_project, check_user, check_address];
            if checks.iter().any(|check| check(&name).is_ok()) {
                // Not even without quotes.
                let mut shell = std::process::Command::new("/bin/sh");
                let output = shell.args(["-c", &format!("printf %s {name}")]).output().unwrap();
                proptest::prop_assert_eq!(String::from_utf8_lossy(&output.stdout), name.as_str());
                proptest::prop_assert!(!name.starts_with('-') && !name.contains('/'));
            }
        }
    }
}
