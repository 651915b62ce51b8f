//! Small JSON state files: bounded, and never an error to read. What cannot be used is no state.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::regular;
use crate::error::in_words;

/// The largest state file that is read, in bytes.
const SIZE_MAX: u64 = 8 << 20;

/// What a state file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Read<T> {
    /// There is no such file.
    Missing,
    /// There is one, and this is why it says nothing.
    Unusable(String),
    /// Its content.
    Usable(T),
}

impl<T> Read<T> {
    /// Returns the content, when there is one.
    pub fn usable(self) -> Option<T> {
        match self {
            Read::Usable(value) => Some(value),
            Read::Missing | Read::Unusable(_) => None,
        }
    }

    pub(super) fn and_then<U>(self, convert: impl FnOnce(T) -> Result<U, String>) -> Read<U> {
        match self {
            Read::Missing => Read::Missing,
            Read::Unusable(reason) => Read::Unusable(reason),
            Read::Usable(value) => match convert(value) {
                Ok(converted) => Read::Usable(converted),
                Err(reason) => Read::Unusable(reason),
            },
        }
    }
}

/// Reads a file that holds one JSON object.
pub(super) fn read_object(path: &Path) -> Read<Map<String, Value>> {
    read_value(path).and_then(|value| match value {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err("not a JSON object".to_owned())
        }
    })
}

/// Reads a file that holds one JSON value.
pub(super) fn read_value(path: &Path) -> Read<Value> {
    let bytes = match regular::read(path, SIZE_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Read::Missing,
        Err(error) => return Read::Unusable(format!("cannot be read: {}", in_words(&error))),
    };
    let Ok(text) = String::from_utf8(bytes) else { return Read::Unusable("not UTF-8".to_owned()) };
    match serde_json::from_str(&text) {
        Ok(value) => Read::Usable(value),
        Err(error) => Read::Unusable(format!("not JSON: {error}")),
    }
}

/// Removes a file; one that is not there is as good.
///
/// # Errors
/// When it exists and cannot be removed.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_and_a_file_beyond_the_bound_are_no_state() {
        use super::super::regular::tests::with_a_pipe_at;
        let dir = tempfile::tempdir().unwrap();
        let (pipe, large) = (dir.path().join("pipe"), dir.path().join("large.json"));
        let path = pipe.clone();
        let read = with_a_pipe_at(&pipe, move || matches!(read_object(&path), Read::Unusable(_)));
        assert_eq!(read, Some(true));
        let object = |blanks: u64| [vec![b' '; usize::try_from(blanks).unwrap()], b"{}".to_vec()].concat();
        super::super::atomic::replace(&large, &object(SIZE_MAX - 2)).unwrap();
        assert!(matches!(read_object(&large), Read::Usable(_)));
        super::super::atomic::replace(&large, &object(SIZE_MAX - 1)).unwrap();
        assert!(matches!(read_object(&large), Read::Unusable(_)));
    }

    #[test]
    fn whatever_is_no_object_is_no_state() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        assert_eq!(read_object(&path), Read::Missing);
        assert!(matches!(read_object(dir.path()), Read::Unusable(_)));
        for content in [&b""[..], b"{", b"[]", b"3", b"{\"a\": \"\xff\"}"] {
            super::super::atomic::replace(&path, content).unwrap();
            assert!(matches!(read_object(&path), Read::Unusable(_)), "{content:?}");
        }
        super::super::atomic::replace(&path, b"{\"a\": 1}").unwrap();
        assert!(matches!(read_object(&path), Read::Usable(_)));
        remove(&path).unwrap();
        remove(&path).unwrap();
    }
}
