//! `serve.pid`: which process the Loop is.

use std::io;

use serde_json::Value;

use super::atomic;
use super::layout::Layout;
use super::state::{self, Read, read_value};
use crate::process::identity::Identity;

/// Reads the Loop's identity; the oldest form is a bare number.
pub fn read(layout: &Layout) -> Read<Identity> {
    read_value(&layout.serve_pid())
        .and_then(|value| parse(&value).ok_or_else(|| "names no process".to_owned()))
}

/// Replaces the file.
///
/// # Errors
/// As [`atomic::replace_json`].
pub fn write(layout: &Layout, identity: &Identity) -> io::Result<()> {
    atomic::replace_json(&layout.serve_pid(), identity)
}

/// Removes the file.
///
/// # Errors
/// When it exists and cannot be removed.
pub fn remove(layout: &Layout) -> io::Result<()> {
    state::remove(&layout.serve_pid())
}

/// Reads an identity: an object with `pid` and perhaps `create_time`, or a bare number. A pid is an integer above 1.
fn parse(value: &Value) -> Option<Identity> {
    let pid = value.get("pid").unwrap_or(value).as_i64()?;
    let pid = i32::try_from(pid).ok().filter(|&pid| pid > 1)?;
    Some(Identity { pid, create_time: value.get("create_time").and_then(Value::as_f64) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_form_and_the_bare_number() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let own = Identity::own();
        write(&layout, &own).unwrap();
        assert_eq!(read(&layout), Read::Usable(own));
        for (content, expected) in [
            ("4711\n", Some(Identity { pid: 4711, create_time: None })),
            (
                r#"{"pid": 7, "create_time": 3.5, "more": 1}"#,
                Some(Identity { pid: 7, create_time: Some(3.5) }),
            ),
            (r#"{"pid": true}"#, None),
            (r#"{"pid": 1}"#, None),
            (r#"{"pid": 99999999999}"#, None),
            ("\"7\"", None),
            ("", None),
        ] {
            atomic::replace(&layout.serve_pid(), content.as_bytes()).unwrap();
            assert_eq!(read(&layout).usable(), expected, "{content}");
        }
        remove(&layout).unwrap();
        assert_eq!(read(&layout), Read::Missing);
    }
}
