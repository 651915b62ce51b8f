//! One JSON object per line, spaced as the files have always been: `{"ts": "...", "event": "..."}`.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

/// Returns `value` as one line without its newline, with a space after each colon and comma.
///
/// # Errors
/// When the value does not serialise.
pub fn line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(256);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced))?;
    Ok(out)
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_spaced_and_keep_non_ascii() {
        let value = serde_json::json!({"a": [1, 2], "b": "é, \":"});
        assert_eq!(line(&value).unwrap(), "{\"a\": [1, 2], \"b\": \"é, \\\":\"}".as_bytes());
    }
}
