//! `--select a.b.0.c`: walking keys and list indexes. Pure.

use serde_json::Value;

/// Keys of the wrapper, which are not part of what can be selected.
const WRAPPER: [&str; 3] = ["schema_version", "plugins", "brake"];

/// Returns the value at a path of keys and indexes joined by dots; an empty path is the whole answer.
pub fn select<'a>(answer: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() || path == "." {
        return Some(answer);
    }
    let mut steps = path.split('.').peekable();
    if steps.peek().is_some_and(|first| WRAPPER.contains(first)) {
        return None;
    }
    steps.try_fold(answer, |value, step| match value {
        Value::Object(fields) => fields.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn walks_keys_and_indexes_but_not_the_wrapper() {
        let answer = json!({"a": {"b": [{"c": 1}]}, "brake": "off"});
        for (path, expected) in [
            ("a.b.0.c", Some(json!(1))),
            ("a.b", Some(json!([{"c": 1}]))),
            ("a.b.1", None),
            ("a.b.x", None),
            ("a.b.0.c.d", None),
            ("brake", None),
            ("", Some(answer.clone())),
        ] {
            assert_eq!(select(&answer, path).cloned(), expected, "{path}");
        }
    }
}
