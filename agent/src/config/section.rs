//! A table of the file after it was checked against the table of keys: every value has its type and its default.

use std::collections::BTreeMap;
use std::ops::Range;

use super::schema::{Default, Table};

/// A checked value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Texts(Vec<String>),
    Table(BTreeMap<String, String>),
}

/// A value with its place and the spelling of its key.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) value: Value,
    pub(super) span: Range<usize>,
    pub(super) spelled: String,
}

/// A checked table.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) table: &'static Table,
    /// Where it begins.
    pub(super) span: Range<usize>,
    /// Whether it is in the file.
    pub(super) given: Given,
    pub(super) values: BTreeMap<&'static str, Found>,
    /// Tables below, by the last part of their name or by the operator's name for them.
    pub(super) tables: BTreeMap<String, Section>,
    /// The rows of each `[[array]]` below.
    pub(super) rows: BTreeMap<&'static str, Vec<Section>>,
}

/// Whether a table is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Yes,
    No,
}

impl Section {
    /// Returns a section without any value.
    pub(super) fn empty(table: &'static Table, span: Range<usize>, given: Given) -> Section {
        Section {
            table,
            span,
            given,
            values: BTreeMap::new(),
            tables: BTreeMap::new(),
            rows: BTreeMap::new(),
        }
    }

    /// Returns a table below, empty when it is not in the file.
    pub(super) fn section(&self, key: &str) -> Section {
        self.given(key).cloned().unwrap_or_else(|| {
            let table = self.table.below(key).expect("every table that is read is in the table of keys");
            Section::empty(table, self.span.clone(), Given::No)
        })
    }

    /// Returns a table below when it is in the file.
    pub(super) fn given(&self, key: &str) -> Option<&Section> {
        self.tables.get(key).filter(|section| section.given == Given::Yes)
    }

    /// Returns this section with `base` shining through where it says nothing. What is wrong with such a value here
    /// is wrong with this section, not with the base.
    pub(super) fn over(&self, base: &Section) -> Section {
        let mut merged = base.clone();
        merged.span = self.span.clone();
        merged.values.values_mut().for_each(|found| found.span = self.span.clone());
        merged.values.extend(self.values.iter().map(|(key, found)| (*key, found.clone())));
        merged
    }

    /// Returns where a key's value is, else where the section begins.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.values.get(key).map_or_else(|| self.span.clone(), |found| found.span.clone())
    }

    /// Returns whether a key is in the file.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        if let Some(Value::Text(text)) = self.value(key) { Some(text) } else { None }
    }

    pub(super) fn bool(&self, key: &str) -> bool {
        matches!(self.value(key), Some(Value::Bool(true)))
    }

    pub(super) fn int(&self, key: &str) -> Option<u64> {
        if let Some(Value::Int(number)) = self.value(key) { u64::try_from(number).ok() } else { None }
    }

    /// Returns an integer that has a default (0 after an error that is reported anyway).
    pub(super) fn number(&self, key: &str) -> u64 {
        self.int(key).unwrap_or_default()
    }

    pub(super) fn float(&self, key: &str) -> f64 {
        if let Some(Value::Float(number)) = self.value(key) { number } else { 0.0 }
    }

    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        if let Some(Value::Texts(texts)) = self.value(key) { texts } else { Vec::new() }
    }

    pub(super) fn map(&self, key: &str) -> BTreeMap<String, String> {
        if let Some(Value::Table(map)) = self.value(key) { map } else { BTreeMap::new() }
    }

    fn value(&self, key: &str) -> Option<Value> {
        if let Some(found) = self.values.get(key) {
            return Some(found.value.clone());
        }
        let key = self.table.find(key).expect("every key that is read is in the table of keys");
        match key.default {
            Default::Required | Default::Unset | Default::Means(_) => None,
            Default::Text(text) => Some(Value::Text(text.to_owned())),
            Default::Bool(value) => Some(Value::Bool(value)),
            Default::Int(number) => Some(Value::Int(number)),
            Default::Float(number) => Some(Value::Float(number)),
            Default::Texts(texts) => Some(Value::Texts(texts.iter().map(|&text| text.to_owned()).collect())),
        }
    }
}
