//! From a selection to hosts.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use regex::RegexBuilder;

use super::error::{FileLine, SelectError, SelectErrorKind};
use super::grammar::{self, Op, Term};
use super::selection::{Remembered, Selection};
use super::set::HostSet;
use crate::inventory::Inventory;
use crate::name::HostName;
use crate::nearest::did_you_mean;
use crate::ranges::Pattern;
use crate::ssh_config::pattern as wildcard;

/// Most wildcard patterns that ranges in one pattern may make.
const MAX_GLOBS: usize = 1000;
/// Largest compiled regular expression, in bytes.
const REGEX_BYTES: usize = 4 * 1024 * 1024;

impl Inventory {
    /// The hosts of a selection, in the order of the inventory; never none.
    pub fn select(&self, selection: &Selection) -> Result<Vec<HostName>, SelectError> {
        let scope = Scope { inventory: self, run: Some(selection) };
        let size = self.hosts.len();
        let mut chosen = HostSet::none(size);
        if selection.limit.is_empty() {
            chosen = HostSet::all(size);
        }
        for limit in &selection.limit {
            scope.expression_into(limit, &mut chosen)?;
        }
        for exclude in &selection.exclude {
            chosen.remove(&scope.expression(exclude)?);
        }
        if chosen.is_empty() {
            return Err(empty(selection));
        }
        Ok(chosen.members().into_iter().filter_map(|id| self.hosts.name(id)).cloned().collect())
    }

    /// The hosts of a selection that depends on the inventory alone, as for `on` of a project.
    pub(crate) fn select_static(&self, expression: &str) -> Result<Vec<u32>, SelectError> {
        let chosen = Scope { inventory: self, run: None }.expression(expression)?;
        if chosen.is_empty() {
            return Err(SelectError::new(SelectErrorKind::Empty, expression, 0..expression.len()));
        }
        Ok(chosen)
    }
}

fn empty(selection: &Selection) -> SelectError {
    let limit = if selection.limit.is_empty() { "all".into() } else { selection.limit.join(", ") };
    let (expression, hint) = match selection.exclude.is_empty() {
        true => (limit, None),
        false => {
            let hint = format!("--exclude {} takes the rest away", selection.exclude.join(", "));
            (limit, Some(hint))
        }
    };
    let end = expression.len();
    SelectError::new(SelectErrorKind::Empty, &expression, 0..end).with_hint(hint)
}

/// What a selection may refer to.
struct Scope<'a> {
    inventory: &'a Inventory,
    /// What only a command line knows; `None` for a selection inside the inventory.
    run: Option<&'a Selection>,
}

/// A term and where it stands, for messages.
struct Place<'a> {
    expression: &'a str,
    at: Range<usize>,
}

impl Place<'_> {
    /// The term as written.
    fn text(&self) -> &str {
        self.expression.get(self.at.clone()).unwrap_or_default()
    }

    fn syntax(&self, message: impl Into<String>) -> SelectError {
        SelectError::syntax(message, self.expression, self.at.clone())
    }

    fn no_match(&self, message: impl Into<String>) -> SelectError {
        SelectError::no_match(message, self.expression, self.at.clone())
    }

    fn error(&self, kind: SelectErrorKind) -> SelectError {
        SelectError::new(kind, self.expression, self.at.clone())
    }
}

impl Scope<'_> {
    /// The hosts of an expression, in ascending order.
    fn expression(&self, expression: &str) -> Result<Vec<u32>, SelectError> {
        let mut chosen = HostSet::none(self.inventory.hosts.len());
        self.expression_into(expression, &mut chosen)?;
        Ok(chosen.members())
    }

    /// Adds the hosts of an expression to others.
    fn expression_into(&self, expression: &str, others: &mut HostSet) -> Result<(), SelectError> {
        let steps = grammar::parse(expression)?;
        let size = self.inventory.hosts.len();
        if steps.iter().all(|step| step.op == Op::Union) {
            // Names and groups alone, as in long lists: no set of its own.
            for step in steps {
                let place = Place { expression, at: step.at };
                others.add(&self.term(&step.term, &place)?);
            }
            return Ok(());
        }
        let mut chosen = match steps.first() {
            Some(step) if step.op == Op::Difference => HostSet::all(size),
            Some(_) | None => HostSet::none(size),
        };
        for step in steps {
            let place = Place { expression, at: step.at };
            let hosts = self.term(&step.term, &place)?;
            match step.op {
                Op::Union => chosen.add(&hosts),
                Op::Intersection => chosen.keep(&hosts),
                Op::Difference => chosen.remove(&hosts),
            }
        }
        others.add(&chosen.members());
        Ok(())
    }

    /// The hosts of a term, in no order; one that several of its ranges name may stand there twice.
    fn term(&self, term: &Term, place: &Place<'_>) -> Result<Vec<u32>, SelectError> {
        match term {
            Term::All => Ok((0u32..).take(self.inventory.hosts.len()).collect()),
            Term::Name(pattern) => self.pattern(pattern, place),
            Term::Group(name) => self.groups(name, place),
            Term::Regex(expression) => self.regex(expression, place),
            Term::Failed => self.remembered("failed", place, |memory| memory.failed.as_ref()),
            Term::Unreached => self.remembered("unreached", place, |memory| memory.unreached.as_ref()),
            Term::File(path) => self.file(path, place),
        }
    }

    fn pattern(&self, text: &str, place: &Place<'_>) -> Result<Vec<u32>, SelectError> {
        let parsed = Pattern::parse(text).map_err(|error| {
            let start = place.at.start;
            let at = start + error.at.start..start + error.at.end;
            SelectError::syntax(error.message, place.expression, at)
        })?;
        if text.contains(['*', '?']) {
            return self.globs(&parsed, place);
        }
        let mut hosts: Vec<u32> = Vec::new();
        for name in parsed.expand() {
            match self.inventory.hosts.id(&name) {
                Some(id) => hosts.push(id),
                // Without ranges a bare name may be a group's, as in `on = "pis & !pi03.lan"`.
                None => match self.inventory.group(&name) {
                    Some(group) => hosts.extend(group.members.iter().copied()),
                    None => return Err(self.unknown(&name, place)),
                },
            }
        }
        Ok(hosts)
    }

    fn globs(&self, pattern: &Pattern, place: &Place<'_>) -> Result<Vec<u32>, SelectError> {
        if pattern.count() > MAX_GLOBS {
            let message = format!("the ranges make more than {MAX_GLOBS} wildcard patterns");
            return Err(place.syntax(message));
        }
        let globs = pattern.expand();
        self.matching(|name| globs.iter().any(|glob| wildcard::matches(name, glob)), place)
    }

    fn regex(&self, expression: &str, place: &Place<'_>) -> Result<Vec<u32>, SelectError> {
        let regex = RegexBuilder::new(expression).size_limit(REGEX_BYTES).build().map_err(|error| {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or("").trim().trim_start_matches("error: ");
            place.syntax(format!("not a regular expression: {last}"))
        })?;
        self.matching(|name| regex.is_match(name), place)
    }

    fn matching(&self, matches: impl Fn(&str) -> bool, place: &Place<'_>) -> Result<Vec<u32>, SelectError> {
        let mut hosts: Vec<u32> = Vec::new();
        for (id, name) in (0u32..).zip(self.inventory.hosts()) {
            if matches(name) {
                hosts.push(id);
            }
        }
        if hosts.is_empty() {
            return Err(place.no_match("no host matches this"));
        }
        Ok(hosts)
    }

    fn groups(&self, text: &str, place: &Place<'_>) -> Result<Vec<u32>, SelectError> {
        let mut hosts: Vec<u32> = Vec::new();
        if text.contains(['*', '?']) {
            let groups = self.inventory.groups.iter();
            let mut found = groups.filter(|group| wildcard::matches(&group.name, text)).peekable();
            if found.peek().is_none() {
                return Err(place.no_match("no group matches this"));
            }
            found.for_each(|group| hosts.extend(group.members.iter().copied()));
            return Ok(hosts);
        }
        let parsed = Pattern::parse(text).map_err(|error| {
            let start = place.at.start + 1;
            let at = start + error.at.start..start + error.at.end;
            SelectError::syntax(error.message, place.expression, at)
        })?;
        for name in parsed.expand() {
            let Some(group) = self.inventory.group(&name) else {
                let known = self.inventory.groups.iter().map(|group| group.name.as_str());
                return Err(place
                    .no_match(format!("no group is called {name:?}"))
                    .with_hint(did_you_mean(&name, known)));
            };
            hosts.extend(group.members.iter().copied());
        }
        if hosts.is_empty() {
            return Err(place.no_match(format!("group {text:?} has no hosts")));
        }
        Ok(hosts)
    }

    fn unknown(&self, name: &str, place: &Place<'_>) -> SelectError {
        if let Some((at, letter)) = strange(name).filter(|_| place.text() == name) {
            let start = place.at.start + at;
            let message = format!("{letter:?} is in no host's name and means nothing here");
            let hint = "a regular expression begins with ~".to_owned();
            return SelectError::syntax(message, place.expression, start..start + letter.len_utf8())
                .with_hint(Some(hint).filter(|_| "^$()|+\\{}".contains(letter)));
        }
        let hosts = self.inventory.hosts().iter().map(HostName::as_str);
        let groups = self.inventory.groups.iter().map(|group| group.name.as_str());
        place
            .no_match(format!("no host or group is called {name:?}"))
            .with_hint(did_you_mean(name, groups.chain(hosts)))
    }

    fn remembered(
        &self,
        word: &str,
        place: &Place<'_>,
        pick: impl Fn(&Remembered) -> Option<&Vec<String>>,
    ) -> Result<Vec<u32>, SelectError> {
        let Some(selection) = self.run else {
            let message = format!("`@{word}` is known to a command line, not to the inventory");
            return Err(place.syntax(message));
        };
        let Some(names) = pick(&selection.remembered) else {
            let message = format!("there is no earlier run to take `@{word}` from");
            return Err(place.error(SelectErrorKind::NotRemembered(message)));
        };
        let mut hosts: Vec<u32> = Vec::new();
        hosts.extend(names.iter().filter_map(|name| self.inventory.hosts.id(name)));
        if hosts.is_empty() {
            let message = match names.is_empty() {
                true => format!(
                    "no host of the last run {}",
                    if word == "failed" { "failed" } else { "was unreached" }
                ),
                false => "the hosts this stands for have left the inventory".to_owned(),
            };
            return Err(place.no_match(message));
        }
        Ok(hosts)
    }

    /// Reads a file with one selection a line; `#` begins a comment.
    fn file(&self, path: &str, place: &Place<'_>) -> Result<Vec<u32>, SelectError> {
        let Some(selection) = self.run else {
            return Err(place.syntax("`@file:` is for command lines, not for the inventory"));
        };
        let file = |message: String| place.error(SelectErrorKind::File(message));
        let text = (selection.files)(Path::new(path))
            .map_err(|error| file(format!("cannot read {path:?}: {error}")))?;
        let mut hosts: Vec<u32> = Vec::new();
        // Most lines are plain names: looked up at once, they cost no set each.
        let mut plain: HashMap<&str, u32> = HashMap::new();
        for (line, content) in (1usize..).zip(text.lines()) {
            let content = content.split('#').next().unwrap_or("").trim();
            if content.is_empty() {
                continue;
            }
            if let Some(id) = self.inventory.hosts.id(content) {
                plain.insert(content, id);
                continue;
            }
            let chosen = match content.contains("@file:") {
                true => Err(SelectError::syntax(
                    "a file of hosts cannot name another file",
                    content,
                    0..content.len(),
                )),
                false => self.expression(content),
            };
            hosts.extend(chosen.map_err(|error| SelectError {
                file: Some(Box::new(FileLine { file: path.into(), line })),
                ..error
            })?);
        }
        hosts.extend(plain.into_values());
        if hosts.is_empty() {
            return Err(file(format!("{path:?} names no host")));
        }
        Ok(hosts)
    }
}

/// The first letter that no name of a host or a group can have, and where it stands.
fn strange(name: &str) -> Option<(usize, char)> {
    name.char_indices().find(|(_, letter)| !letter.is_ascii_alphanumeric() && !"._-:".contains(*letter))
}
