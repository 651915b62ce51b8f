//! What a rule asks of one JSON record: pointers into it, and a test for each.

use std::collections::BTreeMap;

use regex::bytes::Regex;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::Value;

use crate::pattern::{Case, compile};

/// Tests by JSON pointer; all must hold. Without any, every record matches.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(transparent)]
pub struct Conditions(BTreeMap<String, Test>);

/// One test of one value.
#[derive(Debug, Clone)]
enum Test {
    /// Exactly this scalar, of exactly this type.
    Equals(Value),
    /// One of these scalars.
    OneOf(Vec<Value>),
    /// There, and not null.
    Present,
    /// A string, list or object with something in it.
    NotEmpty,
    /// A string that matches, unless it also matches the exception.
    Matches(Regex, Option<Regex>),
}

impl Conditions {
    /// Returns whether there is none, so that every record meets them.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a record meets all of them.
    pub fn hold(&self, record: &Value) -> bool {
        self.0.iter().all(|(pointer, test)| test.holds(record.pointer(pointer)))
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else { return false };
        match self {
            Test::Equals(wanted) => same(value, wanted),
            Test::OneOf(wanted) => wanted.iter().any(|wanted| same(value, wanted)),
            Test::Present => !value.is_null(),
            Test::NotEmpty => match value {
                Value::String(text) => !text.is_empty(),
                Value::Array(items) => !items.is_empty(),
                Value::Object(fields) => !fields.is_empty(),
                Value::Null | Value::Bool(_) | Value::Number(_) => false,
            },
            Test::Matches(pattern, except) => value.as_str().is_some_and(|text| {
                let matches = |pattern: &Regex| pattern.is_match(text.as_bytes());
                matches(pattern) && !except.as_ref().is_some_and(matches)
            }),
        }
    }

    fn read(value: &toml::Value) -> Result<Test, String> {
        match value {
            toml::Value::Array(items) => Ok(Test::OneOf(items.iter().map(scalar).collect::<Result<_, _>>()?)),
            toml::Value::Table(table) => Test::read_table(table),
            toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_) => Ok(Test::Equals(scalar(value)?)),
        }
    }

    fn read_table(table: &toml::Table) -> Result<Test, String> {
        let wanted =
            "a test is { present = true }, { not_empty = true } or { regex = \"..\", except = \"..\" }";
        let pattern = |key: &str| match table.get(key).map(|value| value.as_str().ok_or(wanted)) {
            None => Ok(None),
            Some(text) => compile(text?, Case::Exact).map(Some).map_err(|error| error.to_string()),
        };
        let yes = Some(&toml::Value::Boolean(true));
        let keys: Vec<&str> = table.keys().map(String::as_str).collect();
        match keys.as_slice() {
            ["present"] if table.get("present") == yes => Ok(Test::Present),
            ["not_empty"] if table.get("not_empty") == yes => Ok(Test::NotEmpty),
            ["regex"] | ["except", "regex"] | ["regex", "except"] => {
                Ok(Test::Matches(pattern("regex")?.ok_or(wanted)?, pattern("except")?))
            }
            _ => Err(wanted.into()),
        }
    }
}

impl<'de> Deserialize<'de> for Test {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Test, D::Error> {
        Test::read(&toml::Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn scalar(value: &toml::Value) -> Result<Value, String> {
    match value {
        toml::Value::String(text) => Ok(Value::from(text.as_str())),
        toml::Value::Integer(number) => Ok(Value::from(*number)),
        toml::Value::Float(number) => Ok(Value::from(*number)),
        toml::Value::Boolean(value) => Ok(Value::from(*value)),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
            Err("a record is compared with strings, numbers and bools".into())
        }
    }
}

fn same(value: &Value, wanted: &Value) -> bool {
    match (value.as_f64(), wanted.as_f64()) {
        (Some(value), Some(wanted)) => value == wanted,
        (_, _) => value == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_count_and_missing_values_never_hold() {
        let check = |conditions: &str, record: &str, expected: bool| {
            let conditions: Conditions = toml::from_str(conditions).unwrap();
            assert_eq!(conditions.hold(&serde_json::from_str(record).unwrap()), expected, "{record}");
        };
        check("", "{}", true);
        check(r#""/a" = true"#, r#"{"a":true}"#, true);
        check(r#""/a" = true"#, r#"{"a":1}"#, false);
        check(r#""/a" = true"#, r#"{"a":"true"}"#, false);
        check(r#""/a" = 429"#, r#"{"a":429.0}"#, true);
        check(r#""/a/0/b" = ["x", "y"]"#, r#"{"a":[{"b":"y"}]}"#, true);
        check(r#""/a" = { present = true }"#, r#"{"a":null}"#, false);
        check(r#""/a" = { not_empty = true }"#, r#"{"a":{}}"#, false);
        check(r#""/a" = { not_empty = true }"#, r#"{"a":{"b":1}}"#, true);
        check(r#""/a" = { regex = "^4", except = "^40" }"#, r#"{"a":"429"}"#, true);
        check(r#""/a" = { regex = "^4", except = "^40" }"#, r#"{"a":"404"}"#, false);
        check(r#""/a" = { regex = "x" }"#, r#"{"a":1}"#, false);
        for wrong in [r#""/a" = { regx = "x" }"#, r#""/a" = { regex = "(" }"#, r#""/a" = [[1]]"#] {
            toml::from_str::<Conditions>(wrong).unwrap_err();
        }
    }
}
