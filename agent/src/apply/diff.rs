//! What a change looks like to a person. Pure; secrets are only ever hashes.

use std::path::Path;

use crate::{sha256, unified};

/// The largest text that is compared line by line, in bytes.
const TEXT_MAX: usize = 1 << 20;

/// Returns what is shown instead of a secret.
pub(super) fn secret(content: &[u8]) -> String {
    format!("(secret, sha256 {})", sha256::of(content).get(..12).unwrap_or_default())
}

/// Returns a unified diff; a missing side is `/dev/null`.
pub(super) fn unified(path: &Path, old: Option<&[u8]>, new: Option<&str>) -> String {
    let large = |size: usize| size > TEXT_MAX;
    let (Ok(old_text), false) = (
        std::str::from_utf8(old.unwrap_or_default()),
        large(old.map_or(0, <[u8]>::len)) || large(new.map_or(0, str::len)),
    ) else {
        return format!("(binary or large, sha256 {})\n", sha256::of(new.unwrap_or_default()));
    };
    let name = |there: bool| if there { path.display().to_string() } else { "/dev/null".to_owned() };
    let names = (name(old.is_some()), name(new.is_some()));
    unified::diff(old_text, new.unwrap_or_default(), 3, (&names.0, &names.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_names_both_sides() {
        let path = Path::new("/w/a.md");
        let diff = unified(path, Some(b"one\ntwo\n"), Some("one\n2\n"));
        assert_eq!(diff, "--- /w/a.md\n+++ /w/a.md\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n");
        assert!(unified(path, None, Some("x\n")).starts_with("--- /dev/null\n+++ /w/a.md\n"));
        assert!(unified(path, Some(b"x\n"), None).contains("+++ /dev/null\n"));
        assert!(unified(path, Some(b"\xff"), Some("x")).starts_with("(binary"));
    }

    #[test]
    fn a_secret_is_shown_as_the_start_of_its_hash() {
        assert_eq!(secret(b"abc"), "(secret, sha256 ba7816bf8f01)");
    }
}
