//! Tests that this machine cannot run: said out loud, with the reason, and counted.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Names a file to which every skipped test appends one line, so that a gate can count them.
pub const SKIPPED_FILE: &str = "AGENT_RUNNER_TESTS_SKIPPED";

/// Why a part of the harness cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// This machine lacks something; the test is to be skipped with this reason.
    #[error("not available here: {0}")]
    Missing(String),
    /// It should have worked; the test is to fail.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

impl Unavailable {
    /// Something that this machine lacks.
    #[must_use]
    pub fn missing(reason: impl Into<String>) -> Self {
        Self::Missing(reason.into())
    }
}

/// Says that the running test is skipped: `SKIPPED: test name: reason`, past the capture of test output.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let line =
        format!("SKIPPED: {}: {}\n", thread.name().unwrap_or("unnamed test"), reason.replace('\n', " "));
    // A closed standard error must not turn a skipped test into a failed one.
    let _ = std::io::stderr().write_all(line.as_bytes());
    let Some(path) = std::env::var_os(SKIPPED_FILE).filter(|path| !path.is_empty()) else { return };
    let appended = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = appended {
        let _ = writeln!(std::io::stderr(), "cannot count the skipped test in {}: {error}", path.display());
    }
}

/// Unwraps a part of the harness; `None`, after [`skip`], where this machine cannot have it.
///
/// # Panics
/// Where the part should have worked and did not.
#[expect(clippy::panic, reason = "called by tests, where a broken harness has to fail the test")]
#[track_caller]
pub fn or_skip<T>(part: Result<T, Unavailable>) -> Option<T> {
    match part {
        Ok(part) => Some(part),
        Err(Unavailable::Missing(reason)) => {
            skip(&reason);
            None
        }
        Err(Unavailable::Failed(error)) => panic!("the harness failed: {error:#}"),
    }
}
