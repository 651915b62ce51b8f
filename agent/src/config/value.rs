//! One value against its key: a bool is never a number, an integer is a number, nothing is coerced from text.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::schema::{ANY, Key, Kind, Range as Numbers};
use super::section::Value;
use super::source::{Problem, nearest};
use super::window::Window;
use crate::pattern;

/// Reads the value of `key`, called `name` in messages; `None` after telling what is wrong.
pub(super) fn read(
    key: &Key,
    name: &str,
    found: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<Value> {
    let mut reader = Reader { name, span: found.span(), problems };
    let value = found.get_ref();
    match key.kind {
        // Checked before anything else was looked at.
        Kind::Version => Some(Value::Int(super::keys::SCHEMA_VERSION)),
        Kind::Text | Kind::Path | Kind::Zone => reader.text(value).map(Value::Text),
        Kind::Word(words) => reader.word(value, words),
        Kind::Bool => match value.as_bool() {
            Some(value) => Some(Value::Bool(value)),
            None => reader.wrong("true or false", value),
        },
        Kind::Int(min, max) => reader.int(value, min, max),
        Kind::Float(range) => reader.float(value, range),
        Kind::Texts => reader.texts(value, |_| Ok(())),
        Kind::SomeTexts | Kind::Paths => {
            let texts = reader.texts(value, |_| Ok(()))?;
            if texts == Value::Texts(Vec::new()) {
                return reader.refuse(format!("`{name}` must not be empty"));
            }
            Some(texts)
        }
        Kind::Patterns => reader.texts(value, pattern::check),
        Kind::Windows => {
            reader.texts(value, |text| Window::parse(text).map(drop).map_err(|error| error.to_string()))
        }
        Kind::TextTable => reader.table(value),
    }
}

/// Returns what a value is, in an operator's words.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a bool",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

struct Reader<'a> {
    name: &'a str,
    span: Range<usize>,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn refuse(&mut self, message: String) -> Option<Value> {
        self.problems.push(Problem::new(self.span.clone(), message));
        None
    }

    fn wrong(&mut self, wanted: &str, value: &DeValue<'_>) -> Option<Value> {
        self.refuse(format!("`{}` must be {wanted}, not {}", self.name, kind_of(value)))
    }

    fn text(&mut self, value: &DeValue<'_>) -> Option<String> {
        let text = value.as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong("a string", value);
        }
        text
    }

    fn word(&mut self, value: &DeValue<'_>, words: &[&str]) -> Option<Value> {
        let text = self.text(value)?;
        if words.contains(&text.as_str()) {
            return Some(Value::Text(text));
        }
        let note = nearest(&text, words.iter().copied()).map(|near| format!("did you mean \"{near}\"?"));
        let message = format!("`{}` must be one of {}", self.name, words.join(", "));
        self.problems.push(Problem::new(self.span.clone(), message).noted(note));
        None
    }

    fn int(&mut self, value: &DeValue<'_>, min: i64, max: i64) -> Option<Value> {
        let Some(number) = value.as_integer() else {
            return self.wrong("an integer", value);
        };
        match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if (min..=max).contains(&number) => Some(Value::Int(number)),
            Ok(number) => {
                let range = if max == ANY { format!("at least {min}") } else { format!("{min} to {max}") };
                self.refuse(format!("`{}` must be {range}, not {number}", self.name))
            }
            Err(_) => self.refuse(format!("`{}` is too large", self.name)),
        }
    }

    fn float(&mut self, value: &DeValue<'_>, range: Numbers) -> Option<Value> {
        let number = match value {
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number as f64)
            }
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => return self.wrong("a number", value),
        };
        // Not a number fails every comparison, so it is in no range.
        let (ok, text) = match (range, number.unwrap_or(f64::NAN)) {
            (Numbers::Percent, n) => ((0.0..=100.0).contains(&n), "0 to 100"),
            (Numbers::PositivePercent, n) => (n > 0.0 && n <= 100.0, "above 0 and at most 100"),
            (Numbers::Positive, n) => (n > 0.0 && n.is_finite(), "above 0"),
        };
        match number {
            Some(number) if ok => Some(Value::Float(number)),
            Some(number) => self.refuse(format!("`{}` must be {text}, not {number}", self.name)),
            None => self.refuse(format!("`{}` must be {text}", self.name)),
        }
    }

    fn texts(&mut self, value: &DeValue<'_>, check: fn(&str) -> Result<(), String>) -> Option<Value> {
        let Some(items) = value.as_array() else {
            self.wrong("a list of strings", value);
            if value.is_str()
                && let Some(problem) = self.problems.last_mut()
            {
                problem.note = Some("put it into [ ]; `agent-runner migrate` does".into());
            }
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        let mut failed = false;
        for item in items.iter() {
            let read = plain(item.get_ref()).ok_or_else(|| {
                format!("`{}` must be a list of strings, and this is {}", self.name, kind_of(item.get_ref()))
            });
            let checked = read.and_then(|text| match check(&text) {
                Ok(()) => Ok(text),
                Err(why) => Err(format!("`{}`: {why}", self.name)),
            });
            match checked {
                Ok(text) => texts.push(text),
                Err(message) => {
                    failed = true;
                    self.problems.push(Problem::new(item.span(), message));
                }
            }
        }
        (!failed).then_some(Value::Texts(texts))
    }

    fn table(&mut self, value: &DeValue<'_>) -> Option<Value> {
        let Some(items) = value.as_table() else {
            return self.wrong("a table of strings", value);
        };
        let mut map = BTreeMap::new();
        let mut failed = false;
        for (key, item) in items {
            let name = key.get_ref();
            let usable = !name.is_empty() && !name.contains(['=', '\0']);
            match plain(item.get_ref()).filter(|text| usable && !text.contains('\0')) {
                Some(text) => drop(map.insert(name.to_string(), text)),
                None => {
                    failed = true;
                    let message = format!("`{}.{name}` cannot be an environment variable", self.name);
                    self.problems.push(Problem::new(key.span(), message));
                }
            }
        }
        (!failed).then_some(Value::Table(map))
    }
}

/// Returns a scalar as text, spelled as the configuration has always spelled it (`True`, `1.5`).
fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().ok().map(|number| format!("{number:?}")),
        DeValue::Boolean(value) => Some(if *value { "True" } else { "False" }.to_owned()),
        DeValue::Datetime(at) => Some(at.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
