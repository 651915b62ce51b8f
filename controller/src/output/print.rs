//! The only place that prints. A closed stdout is quiet success. What goes to a terminal, whoever said it, cannot control
//! it; a pipe gets every byte.

use std::io::{self, IsTerminal, Write};

use agent_runner::error::Error;
use agent_runner::plain::{To, shown};
use serde::Serialize;

/// Prints text to stdout and flushes.
///
/// # Errors
/// What the write returned; a broken pipe tells the caller that nobody reads any more.
pub fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(shown(text, To::of(&out)).as_bytes())?;
    out.flush()
}

/// Prints one JSON line to stdout.
///
/// # Errors
/// As [`text`].
pub fn json_line(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    text(&line)
}

/// Prints a line for people to stderr.
pub fn note(line: &str) {
    let mut err = io::stderr().lock();
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(err, "{}", shown(line, To::of(&err)));
}

/// Prints an error with its causes and its hint to stderr.
pub fn error<E>(error: &Error<E>) {
    error.lines("error").iter().for_each(|line| note(line));
}

/// Returns whether progress can be drawn: stderr is a terminal that moves its cursor, and nobody asked for plain lines.
pub fn is_live(env: impl Fn(&str) -> Option<String>) -> bool {
    io::stderr().is_terminal() && env("CI").is_none() && env("TERM").is_none_or(|term| term != "dumb")
}
