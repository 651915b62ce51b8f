//! Tests that this machine cannot run: said out loud, with the reason, and counted.

use crate::skipped;

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
    skipped::skip(reason);
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
