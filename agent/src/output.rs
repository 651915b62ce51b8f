//! The only place that prints. stdout is the result, stderr is everything else; a closed stdout is quiet success. What
//! goes to a terminal cannot control it, unless it was drawn for one; a pipe gets every byte.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Error, Exit};
use crate::plain::{To, shown};
use crate::process::wait::{self, Interest};

/// What a pipe with any room takes whole (`PIPE_BUF`).
const PIPE_PIECE: usize = 4096;

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For eyes.
    Pretty,
    /// For programs; the contract.
    Json,
}

/// Prints text to stdout and flushes.
///
/// # Errors
/// What the write returns; a broken pipe is an error the caller may treat as the end of its work.
pub fn print(text: &str) -> io::Result<()> {
    print_drawn(&shown(text, To::of(&io::stdout())))
}

/// Prints text with escape sequences of our own, in which foreign text is clean already, and flushes.
///
/// # Errors
/// As [`print`].
pub fn print_drawn(text: &str) -> io::Result<()> {
    write(text.as_bytes())
}

/// Prints bytes to stdout and flushes.
///
/// # Errors
/// As [`print`].
pub fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    match To::of(&io::stdout()) {
        To::Terminal => print(&String::from_utf8_lossy(bytes)),
        To::Pipe => write(bytes),
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Prints bytes to stdout as they are, in pieces a pipe takes at once, and gives up on a reader that takes nothing
/// for `patience`.
///
/// # Errors
/// `TimedOut` when nobody reads; else what the write returns.
pub fn print_to_reader(bytes: &[u8], patience: Duration) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for piece in bytes.chunks(PIPE_PIECE) {
        let deadline = Instant::now() + patience;
        if wait::wait_for(&[(io::stdout().as_fd(), Interest::Write)], Some(deadline))?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads stdout"));
        }
        out.write_all(piece)?;
        out.flush()?;
    }
    Ok(())
}

/// Prints a result as JSON, indented by two, with a final newline.
///
/// # Errors
/// What the write returns.
pub fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print(&text)
}

/// Prints one line to stderr, prefixed with the program's name.
pub fn note(text: &str) {
    let mut err = io::stderr().lock();
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(err, "agent-runner: {}", shown(text, To::of(&err)));
}

/// Prints an error with its causes and its hint to stderr.
pub fn error(error: &Error) {
    let kind = if error.exit == Exit::Config { "config error" } else { "error" };
    error.lines(kind).iter().for_each(|line| note(line));
}

/// Returns whether colour belongs on stdout, given `NO_COLOR` and `CLICOLOR_FORCE` as the caller read them.
pub fn colour(no_color: Option<&str>, force: Option<&str>) -> bool {
    if no_color.is_some_and(|value| !value.is_empty()) {
        return false;
    }
    force.is_some_and(|value| !value.is_empty() && value != "0") || io::stdout().is_terminal()
}

/// Prints text to stderr without a prefix and without adding a newline.
pub fn raw_error(text: &str) {
    let mut err = io::stderr().lock();
    // A closed stderr leaves nobody to tell.
    let _ = err.write_all(shown(text, To::of(&err)).as_bytes());
}

/// Turns a failed print into the verb's error; a closed stdout is quiet success.
///
/// # Errors
/// Any other failure to write.
pub fn printed(result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::failed("writing to stdout").caused_by(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
