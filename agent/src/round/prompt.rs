//! The prompt: files, front matter, context block. Assembly is pure; reading is one function.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::types::{ContextMode, Prompt};
use crate::store::regular;

/// The largest prompt file, in bytes: far more than an agent CLI reads.
pub(super) const FILE_MAX: u64 = 16 << 20;

/// A prompt file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read prompt file {}", path.display())]
pub struct PromptError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// The texts of the prompt files that there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pieces {
    /// One text per file, bad UTF-8 replaced.
    pub texts: Vec<String>,
    /// Files after the first that are missing, which is no error: optional preambles and the ledger work this way.
    pub missing: Vec<PathBuf>,
}

/// Reads the prompt files.
///
/// # Errors
/// When the first is missing, or any cannot be read.
pub fn read(files: &[PathBuf]) -> Result<Pieces, PromptError> {
    let mut pieces = Pieces::default();
    for (index, path) in files.iter().enumerate() {
        match regular::read(path, FILE_MAX) {
            Ok(bytes) => pieces.texts.push(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if index > 0 && error.kind() == io::ErrorKind::NotFound => {
                pieces.missing.push(path.clone());
            }
            Err(source) => return Err(PromptError { path: path.clone(), source }),
        }
    }
    Ok(pieces)
}

/// Joins the texts; the first loses its front matter, if so configured.
pub fn assemble(texts: &[String], prompt: &Prompt) -> String {
    let mut texts = texts.iter().map(String::as_str);
    let first = texts
        .next()
        .map(|text| if prompt.strip_yaml_frontmatter { without_front_matter(text) } else { text });
    first.into_iter().chain(texts).collect::<Vec<_>>().join(&prompt.concat_separator)
}

/// Returns the prompt with the round's context before it, if so configured.
pub fn with_context(assembled: &str, context_json: &str, prompt: &Prompt) -> String {
    match (prompt.inject_context, prompt.context_injection_mode) {
        (true, ContextMode::Prepend) => {
            format!("```json round-context\n{context_json}\n```\n\n{assembled}")
        }
        (true, ContextMode::File | ContextMode::None) | (false, _) => assembled.to_owned(),
    }
}

/// Returns why a prompt cannot be meant, if it cannot: an agent CLI would take it for an option, or it is a leftover.
pub fn refusal(assembled: &str) -> Option<String> {
    const LEAST: usize = 500;
    let first = assembled.chars().next();
    match first {
        None => Some("the prompt is empty".to_owned()),
        Some(first) if "- \n\t\r".contains(first) => Some(format!("the prompt begins with {first:?}")),
        Some(_) if assembled.len() < LEAST => {
            Some(format!("the prompt has {} bytes, fewer than {LEAST}", assembled.len()))
        }
        Some(_) => None,
    }
}

/// Returns the path the first prompt file has, for messages.
pub fn first(files: &[PathBuf]) -> Option<&Path> {
    files.first().map(PathBuf::as_path)
}

/// Drops a leading block between two lines of exactly three dashes, and the white space behind it. Without the second
/// line nothing is dropped.
fn without_front_matter(text: &str) -> &str {
    let is_fence =
        |line: &str| line.strip_suffix('\n').map_or(line, |line| line.trim_end_matches('\r')) == "---";
    let mut behind = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        behind += line.len();
        match (index, is_fence(line)) {
            (0, false) => return text,
            (0, true) | (_, false) => {}
            (_, true) => return text.get(behind..).unwrap_or_default().trim_start(),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_prompt_that_is_a_pipe_or_has_no_end_is_an_error_at_once() {
        use crate::store::regular::tests::with_a_pipe_at;
        let dir = tempfile::tempdir().unwrap();
        let (pipe, long) = (dir.path().join("pipe.md"), dir.path().join("long.md"));
        let files = vec![pipe.clone()];
        let said = with_a_pipe_at(&pipe, move || read(&files).map_err(|error| error.source.to_string()));
        assert_eq!(said, Some(Err("not a regular file".to_owned())));
        std::fs::File::create(&long).unwrap().set_len(FILE_MAX + 1).unwrap();
        assert_eq!(read(&[long]).unwrap_err().source.to_string(), "larger than 16 MiB");
    }

    fn config() -> Prompt {
        Prompt {
            files: Vec::new(),
            inject_context: true,
            context_injection_mode: ContextMode::Prepend,
            concat_separator: "\n\n".into(),
            strip_yaml_frontmatter: true,
        }
    }

    fn check(texts: &[&str], expected: &str) {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(assemble(&texts, &config()), expected);
    }

    #[test]
    fn only_the_first_file_loses_its_front_matter() {
        check(&["---\na: 1\n---\n\n  body\n", "---\nb: 2\n---\nmore"], "body\n\n\n---\nb: 2\n---\nmore");
        check(&["---\r\na\r\n---\r\nbody"], "body");
        check(&["---\na\n---"], "");
        check(&["---\nnever closed\n"], "---\nnever closed\n");
        check(&["----\na\n---\nbody"], "----\na\n---\nbody");
        check(&["text\n---\na\n---\n"], "text\n---\na\n---\n");
        check(&["---"], "---");
        check(&[], "");
        let keep = Prompt { strip_yaml_frontmatter: false, ..config() };
        assert_eq!(assemble(&["---\na\n---\nb".to_owned()], &keep), "---\na\n---\nb");
    }

    #[test]
    fn the_context_goes_before_the_prompt_in_one_mode_only() {
        let expected = "```json round-context\n{\n}\n```\n\nbody";
        assert_eq!(with_context("body", "{\n}", &config()), expected);
        for off in [
            Prompt { inject_context: false, ..config() },
            Prompt { context_injection_mode: ContextMode::File, ..config() },
            Prompt { context_injection_mode: ContextMode::None, ..config() },
        ] {
            assert_eq!(with_context("body", "{}", &off), "body");
        }
    }

    #[test]
    fn what_cannot_be_a_prompt_is_refused() {
        let long = "x".repeat(500);
        assert_eq!(refusal(&long), None);
        for bad in
            [String::new(), "x".repeat(499), format!("-{long}"), format!("\n{long}"), format!(" {long}")]
        {
            assert!(refusal(&bad).is_some(), "{bad:.5}");
        }
        // Bytes count, not characters.
        assert_eq!(refusal(&"é".repeat(250)), None);
    }

    #[test]
    fn a_missing_first_file_is_an_error_and_a_missing_later_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        assert_eq!(read(&[one.clone(), two.clone()]).unwrap_err().path, one);
        crate::store::atomic::replace(&one, b"a\xffb").unwrap();
        let pieces = read(&[one, two.clone()]).unwrap();
        assert_eq!(pieces, Pieces { texts: vec!["a\u{fffd}b".into()], missing: vec![two] });
    }

    proptest! {
        #[test]
        fn stripping_takes_a_prefix_and_nothing_else(text in "(---|a|\n|\r| |é){0,12}") {
            let kept = without_front_matter(&text);
            prop_assert!(text.ends_with(kept));
            prop_assert!(kept == text || text.starts_with("---"));
        }
    }
}
