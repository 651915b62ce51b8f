//! Checks a parsed file against the table of keys. Everything wrong is collected; nothing is coerced or clamped.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::schema::{Default, Key, Presence, Table};
use super::section::{Found, Given, Section};
use super::source::{Problem, nearest};
use super::value;

/// Reads one table and everything below it.
pub(super) fn table(
    table: &'static Table,
    found: &DeTable<'_>,
    span: Range<usize>,
    problems: &mut Vec<Problem>,
) -> Section {
    let mut section = Section::empty(table, span, Given::Yes);
    for (name, value) in found {
        let word = name.get_ref().as_ref();
        if let Some(key) = table.find(word) {
            single(key, name, value, &mut Target { section: &mut section, problems });
        } else if let Some(below) = table.below(word).filter(|below| below.presence != Presence::PerPhase) {
            nested(below, value, &mut section, problems);
        } else if let Some(below) = table.named().filter(|_| value.get_ref().is_table()) {
            if let DeValue::Table(inner) = value.get_ref() {
                let read = self::table(below, inner, name.span(), problems);
                section.tables.insert(word.to_owned(), read);
            }
        } else {
            problems.push(unknown(table, word, name.span()));
        }
    }
    missing(&section, problems);
    section
}

struct Target<'a> {
    section: &'a mut Section,
    problems: &'a mut Vec<Problem>,
}

fn single(
    key: &'static Key,
    name: &Spanned<std::borrow::Cow<'_, str>>,
    found: &Spanned<DeValue<'_>>,
    to: &mut Target<'_>,
) {
    let spelled = name.get_ref().to_string();
    if let Some(other) = to.section.values.get(key.name) {
        let message = format!("`{}` and `{spelled}` are the same key, and both are set", other.spelled);
        to.problems.push(Problem::new(name.span(), message).noted(Some("keep one of them".into())));
        return;
    }
    let before = to.problems.len();
    let value = value::read(key, &to.section.table.dotted(&spelled), found, to.problems);
    if let Some(value) = value {
        to.section.values.insert(key.name, Found { value, span: found.span(), spelled });
    } else if to.problems.len() == before {
        to.problems.push(Problem::new(found.span(), format!("`{spelled}` cannot be read")));
    }
}

fn nested(
    below: &'static Table,
    value: &Spanned<DeValue<'_>>,
    section: &mut Section,
    problems: &mut Vec<Problem>,
) {
    match (below.presence, value.get_ref()) {
        (Presence::Rows, DeValue::Array(items)) => {
            let rows = items.iter().filter_map(|item| {
                if let DeValue::Table(inner) = item.get_ref() {
                    return Some(table(below, inner, item.span(), problems));
                }
                problems.push(wrong(below, item, "a list of tables, as in"));
                None
            });
            section.rows.insert(below.key(), rows.collect());
        }
        (Presence::Rows, _) => problems.push(wrong(below, value, "a list of tables, as in")),
        (_, DeValue::Table(inner)) => {
            let read = table(below, inner, value.span(), problems);
            section.tables.insert(below.key().to_owned(), read);
        }
        (_, _) => problems.push(wrong(below, value, "a table, as in")),
    }
}

fn wrong(below: &Table, value: &Spanned<DeValue<'_>>, wanted: &str) -> Problem {
    let header = if below.presence == Presence::Rows {
        format!("[[{}]]", below.name)
    } else {
        format!("[{}]", below.name)
    };
    let message =
        format!("`{}` must be {wanted} {header}, not {}", below.name, value::kind_of(value.get_ref()));
    Problem::new(value.span(), message)
}

fn unknown(table: &Table, word: &str, span: Range<usize>) -> Problem {
    if let Some((_, what)) = table.removed.iter().find(|(name, _)| *name == word) {
        return Problem::new(span, format!("`{}` {what}", table.dotted(word)));
    }
    let place =
        if table.name.is_empty() { "at the top level".into() } else { format!("in [{}]", table.name) };
    let names = table.names();
    let note = match nearest(word, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", names.join(", ")),
    };
    Problem::new(span, format!("unknown key `{word}` {place}")).noted(Some(note))
}

fn missing(section: &Section, problems: &mut Vec<Problem>) {
    if section.table.presence == Presence::Override {
        return;
    }
    for key in section.table.all_keys() {
        // A key that is there but wrong has its own problem already.
        let told = problems
            .iter()
            .any(|problem| problem.message.contains(&format!("`{}`", section.table.dotted(key.name))));
        if key.default == Default::Required
            && !section.has(key.name)
            && !told
            && !section.table.name.is_empty()
        {
            let message = format!("`{}` is missing", section.table.dotted(key.name));
            problems.push(Problem::new(section.span.clone(), message));
        }
    }
    for below in section.table.tables.iter().filter(|below| below.presence == Presence::Required) {
        if !section.tables.contains_key(below.key()) {
            let told =
                problems.iter().any(|problem| problem.message.contains(&format!("`{}` must", below.name)));
            if !told {
                problems.push(Problem::new(0..0, format!("the table [{}] is missing", below.name)));
            }
        }
    }
}
