//! What agent CLIs print, and what is made of it: from recordings, so that no CLI is needed.
#![expect(clippy::unwrap_used, reason = "what a test sets up must work, or the test fails")]

/// A lost login, from the first refused round to the start after it was renewed.
#[path = "agents/login.rs"]
mod login;
/// The provider on loopback.
#[path = "agents/provider.rs"]
mod provider;
/// What is read from the recordings.
#[path = "agents/recordings.rs"]
mod recordings;
