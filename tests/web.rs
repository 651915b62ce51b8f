//! The dashboard as a person, a script and a Prometheus see it.
#![expect(clippy::unwrap_used, reason = "what a test sets up must work, or the test fails")]

/// The page in a real browser.
#[path = "web/page.rs"]
mod page;
/// `/metrics`, read by promtool and by a real Prometheus.
#[path = "web/prometheus.rs"]
mod prometheus;
/// Who may ask for what, and the bounds.
#[path = "web/requests.rs"]
mod requests;
