//! The operator's regular expressions: on bytes, without the unicode tables, bounded in size.

use regex::bytes::{Regex, RegexBuilder};

/// Largest compiled program in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// Whether letters match in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// As written.
    Exact,
    /// In either case.
    Ignored,
}

/// Compiles a pattern of the configuration or of a preset.
///
/// # Errors
/// When it is no regular expression, uses look-around or back references, or compiles to more than 1 MiB.
pub fn compile(pattern: &str, case: Case) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(case == Case::Ignored)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .build()
}

/// Returns what is wrong with a pattern, in one line.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    compile(pattern, Case::Ignored).map(drop).map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim();
        format!("`{pattern}` is no usable pattern: {}", last.strip_prefix("error: ").unwrap_or(last))
    })
}
