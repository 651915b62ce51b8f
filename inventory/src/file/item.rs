//! One key of a table with its value, and the value as a type.

use std::ops::Range;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeString, DeValue, ValueDeserializer};

use super::report::Report;

/// A key with its value and both positions.
#[derive(Clone)]
pub(crate) struct Item<'t> {
    pub(crate) name: &'t str,
    /// The name with the names of the tables around it: `groups.pis.hosts`.
    pub(crate) path: String,
    pub(crate) key: Range<usize>,
    pub(crate) value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Item<'t> {
    pub(super) fn new(prefix: &str, key: &'t Spanned<DeString<'t>>, value: &'t Spanned<DeValue<'t>>) -> Self {
        let name: &str = key.get_ref();
        let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        let shown = if bare { name.to_owned() } else { format!("{name:?}") };
        let path = if prefix.is_empty() { shown } else { format!("{prefix}.{shown}") };
        Self { name, path, key: key.span(), value }
    }

    /// Where the value stands.
    pub(crate) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// Records that the value has another type.
    pub(crate) fn expected(&self, what: &str, report: &mut Report<'_>) {
        let found = self.value.get_ref().type_str();
        let article = if found.starts_with(['a', 'i']) { "an" } else { "a" };
        report.problem(self.span(), format!("`{}` is {what}, not {article} {found}", self.path));
    }

    /// The value as text.
    pub(crate) fn text(&self, report: &mut Report<'_>) -> Option<&'t str> {
        let text = self.value.get_ref().as_str();
        if text.is_none() {
            self.expected("a string", report);
        }
        text
    }

    /// The value as text that `check` accepts.
    pub(crate) fn checked<T, E: std::fmt::Display>(
        &self,
        report: &mut Report<'_>,
        check: impl FnOnce(&'t str) -> Result<T, E>,
    ) -> Option<T> {
        match check(self.text(report)?) {
            Ok(value) => Some(value),
            Err(error) => {
                report.problem(self.span(), error.to_string());
                None
            }
        }
    }

    /// The value as yes or no.
    pub(crate) fn flag(&self, report: &mut Report<'_>) -> Option<bool> {
        let flag = self.value.get_ref().as_bool();
        if flag.is_none() {
            self.expected("true or false", report);
        }
        flag
    }

    /// The value as a whole number within `range`.
    pub(crate) fn number(
        &self,
        range: std::ops::RangeInclusive<u64>,
        report: &mut Report<'_>,
    ) -> Option<u64> {
        let Some(integer) = self.value.get_ref().as_integer() else {
            self.expected("a whole number", report);
            return None;
        };
        let value = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let fits = value.filter(|value| range.contains(value));
        if fits.is_none() {
            let (low, high) = (range.start(), range.end());
            report.problem(self.span(), format!("`{}` is a number from {low} to {high}", self.path));
        }
        fits
    }

    /// The value as the elements of an array.
    pub(crate) fn array(&self, report: &mut Report<'_>) -> Option<Vec<Item<'t>>> {
        let array = self.value.get_ref().as_array();
        if array.is_none() {
            self.expected("an array", report);
        }
        let element = |value: &'t Spanned<DeValue<'t>>| Item { value, ..self.clone() };
        Some(array?.iter().map(element).collect())
    }

    /// The value as one element or as an array of them.
    pub(crate) fn one_or_many(&self, report: &mut Report<'_>) -> Option<Vec<Item<'t>>> {
        if self.value.get_ref().is_array() { self.array(report) } else { Some(vec![self.clone()]) }
    }

    /// The value as TOML.
    pub(crate) fn toml(&self, report: &mut Report<'_>) -> Option<toml::Value> {
        match toml::Value::deserialize(ValueDeserializer::from(self.value.clone())) {
            Ok(value) => Some(value),
            Err(error) => {
                let span = error.span().unwrap_or_else(|| self.span());
                report.problem(span, error.message().to_owned());
                None
            }
        }
    }
}
