//! What agent CLIs print, and what is made of it.
#![expect(clippy::unwrap_used, reason = "what a test sets up must work, or the test fails")]
