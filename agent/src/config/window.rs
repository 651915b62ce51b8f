//! A window of the week: `[DAYS ]HH:MM-HH:MM`.

/// A window of the week; the tail after midnight belongs to the day it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The text it was read from.
    pub text: String,
    /// Days on which it starts, Monday first.
    pub days: [bool; 7],
    /// First minute of the day, 0 to 1439.
    pub start_min: u16,
    /// The minute behind the last one, 1 to 1440; not after `start_min` when it wraps over midnight.
    pub end_min: u16,
}
