//! The one form in which `--json` says how a host ended, whatever the verb. Pure.

use serde::Serialize;
use serde_json::{Map, Value};

use super::recap::{HostResult, Status};

/// How one host ended: a line of `--json`. What a verb has to say beyond that are keys of its own in the same object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResultLine {
    schema: u32,
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    result: Status,
    message: String,
    hint: String,
    tail: String,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl ResultLine {
    /// Returns the line of a result.
    pub fn of(result: &HostResult) -> ResultLine {
        let HostResult { host, status, message, hint, tail } = result.clone();
        ResultLine { schema: 1, host, project: None, result: status, message, hint, tail, more: Map::new() }
    }

    /// Says that the line is about one of the host's projects.
    #[must_use]
    pub fn project(mut self, name: impl Into<String>) -> ResultLine {
        self.project = Some(name.into());
        self
    }

    /// Adds what the verb has to say. A value that JSON cannot hold is null.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Serialize) -> ResultLine {
        self.more.insert(key.to_owned(), serde_json::to_value(value).unwrap_or_default());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_says_host_result_message_hint_and_tail_at_the_top() {
        let result = HostResult::new("pi1", Status::Unreachable, "connection refused").hinted("is it on?");
        let line = ResultLine::of(&result).project("shelf").with("code", 3).with("none", Option::<u8>::None);
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            r#"{"schema":1,"host":"pi1","project":"shelf","result":"unreachable","message":"connection refused","hint":"is it on?","tail":"","code":3,"none":null}"#
        );
        assert!(!serde_json::to_string(&ResultLine::of(&result)).unwrap().contains("project"));
    }
}
