//! A TOML table whose keys are known: unknown ones are problems as soon as it is opened.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::item::Item;
use super::report::Report;
use crate::nearest::did_you_mean;

/// Parses a document; every syntax error becomes a problem.
pub(crate) fn parse<'t>(text: &'t str, report: &mut Report<'_>) -> Spanned<DeTable<'t>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        report.problem(error.span().unwrap_or(0..0), error.message().trim_end().replace('\n', ", "));
    }
    document
}

/// A table of the document with its name in messages, such as `[groups.pis]`.
pub(crate) struct Table<'t> {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
    items: Vec<Item<'t>>,
}

impl<'t> Table<'t> {
    /// Opens the whole document.
    pub(crate) fn document(
        document: &'t Spanned<DeTable<'t>>,
        known: &[&str],
        report: &mut Report<'_>,
    ) -> Self {
        let table = Self::new(String::new(), document.span(), document.get_ref());
        table.refuse_unknown(known, report);
        table
    }

    /// Opens a table value whose keys are `known`.
    pub(crate) fn open(item: &Item<'t>, known: &[&str], report: &mut Report<'_>) -> Option<Self> {
        let table = Self::any(item, report)?;
        table.refuse_unknown(known, report);
        Some(table)
    }

    /// Opens a table value whose keys are names that the user chooses.
    pub(crate) fn any(item: &Item<'t>, report: &mut Report<'_>) -> Option<Self> {
        match item.value.get_ref() {
            DeValue::Table(table) => Some(Self::new(format!("[{}]", item.path), item.key.clone(), table)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                item.expected("a table", report);
                None
            }
        }
    }

    fn new(name: String, span: Range<usize>, table: &'t DeTable<'t>) -> Self {
        let prefix = name.trim_start_matches('[').trim_end_matches(']');
        let mut items: Vec<Item<'t>> =
            table.iter().map(|(key, value)| Item::new(prefix, key, value)).collect();
        items.sort_by_key(|item| item.key.start);
        Self { name, span, items }
    }

    fn refuse_unknown(&self, known: &[&str], report: &mut Report<'_>) {
        for item in self.items.iter().filter(|item| !known.contains(&item.name)) {
            let place = if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) };
            let hint = did_you_mean(item.name, known.iter().copied())
                .or_else(|| Some(format!("known here: {}", known.join(", "))));
            report.hinted(
                item.key.clone(),
                format!("unknown key `{}`{place}", item.name.escape_debug()),
                hint,
            );
        }
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Item<'t>> {
        self.items.iter().find(|item| item.name == key)
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&self, key: &str, report: &mut Report<'_>) -> Option<&Item<'t>> {
        let found = self.get(key);
        if found.is_none() {
            report.problem(self.span.clone(), format!("{} has no `{key}`", self.name));
        }
        found
    }

    /// All keys and values, in the order of the file.
    pub(crate) fn items(&self) -> &[Item<'t>] {
        &self.items
    }
}
