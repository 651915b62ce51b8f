//! Foreign values: numbers that may be anything, text that may be missing. Never an error.

use serde_json::Value;

use super::rules::Pointers;

/// Returns the first usable number, unless there is none; null, bools, other text, NaN and infinities are none.
pub(super) fn number(record: &Value, pointers: &Pointers) -> Option<f64> {
    pointers.0.iter().find_map(|pointer| finite(record.pointer(pointer)?))
}

/// Returns the first usable number as an integer, else 0.
pub(super) fn count(record: &Value, pointers: &Pointers) -> i64 {
    // Beyond the range the cast saturates.
    number(record, pointers).map_or(0, |number| number as i64)
}

/// Returns one value as a number.
pub(super) fn finite(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

/// Returns the first string that is there.
pub(super) fn text<'a>(record: &'a Value, pointers: &Pointers) -> Option<&'a str> {
    pointers.0.iter().find_map(|pointer| record.pointer(pointer)?.as_str())
}

/// Returns the first value that is there as text, an object as JSON.
pub(super) fn any_text(record: &Value, pointers: &Pointers) -> Option<String> {
    let values = pointers.0.iter().filter_map(|pointer| record.pointer(pointer));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.into_iter().find(|value| !value.is_null() && value.as_str() != Some("")).map(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_is_a_number_or_nothing() {
        let check = |json: &str, expected: i64| {
            let record: Value = serde_json::from_str(&format!("{{\"n\":{json}}}")).unwrap();
            assert_eq!(count(&record, &Pointers(vec!["/n".into()])), expected, "{json}");
        };
        for nothing in ["null", "true", "\"many\"", "\"nan\"", "\"inf\"", "[]", "{}", "\"\""] {
            check(nothing, 0);
        }
        check("12", 12);
        check("12.9", 12);
        check("\" 12 \"", 12);
        check("\"1e3\"", 1000);
        check("1e300", i64::MAX);
        check("-3", -3);
    }
}
