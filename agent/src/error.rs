//! What a verb can end with: an exit code, or an error with its hint. Prints nothing; `output` does.

use std::error::Error as StdError;
use std::fmt;

/// The process's exit code; the numbers are contract (docs/commands.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// The operation failed or was refused.
    Failed,
    /// The command line is wrong.
    Usage,
    /// `mem_loop_persistent`: systemd must not restart.
    MemLoopPersistent,
    /// `mem_loop`: systemd restarts on purpose.
    MemLoop,
    /// `crash_loop` or `stalled_no_progress`: systemd must not restart.
    GaveUp,
    /// The environment is in the way and heals by itself: a held lock, slow git, a full disk.
    Environment,
    /// The configuration cannot work until a person changes it.
    Config,
    /// Interrupted by a signal.
    Interrupted,
}

impl Exit {
    /// Every code, in the order of the numbers.
    pub const ALL: [Exit; 9] = [
        Exit::Ok,
        Exit::Failed,
        Exit::Usage,
        Exit::MemLoopPersistent,
        Exit::MemLoop,
        Exit::GaveUp,
        Exit::Environment,
        Exit::Config,
        Exit::Interrupted,
    ];

    /// Returns the number the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::MemLoopPersistent => 70,
            Exit::MemLoop => 71,
            Exit::GaveUp => 75,
            Exit::Environment => 76,
            Exit::Config => 78,
            Exit::Interrupted => 130,
        }
    }
}

/// Returns an error with everything that caused it, on one line.
pub fn in_words(error: &dyn StdError) -> String {
    let mut words = plain(error);
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&plain(cause));
        source = cause.source();
    }
    words
}

/// Returns one error without the number that the standard library puts behind the system's words.
fn plain(error: &dyn StdError) -> String {
    let words = error.to_string();
    let numbered = words.split_once(" (os error ");
    let plain = numbered.and_then(|(said, rest)| Some(format!("{said}{}", rest.split_once(')')?.1)));
    plain.unwrap_or(words).trim_end().to_owned()
}

/// A verb's failure, as the person sees it: `error:`, `caused by:` for each source, `hint:`. `E` is the program's
/// set of exit codes.
#[derive(Debug)]
pub struct Error<E = Exit> {
    /// What the process ends with.
    pub exit: E,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    hint: Option<String>,
}

impl Error {
    /// Returns an error of kind [`Exit::Failed`].
    pub fn failed(message: impl Into<String>) -> Error {
        Error::new(Exit::Failed, message)
    }
}

impl<E> Error<E> {
    /// Returns an error that ends the process with `exit`.
    pub fn new(exit: E, message: impl Into<String>) -> Self {
        Error { exit, message: message.into(), source: None, hint: None }
    }

    /// Adds what caused it.
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds what the person can do about it.
    pub fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the lines a person is shown, of which `kind` begins the first: what failed, what caused it, what helps.
    pub fn lines(&self, kind: &str) -> Vec<String> {
        let mut lines = vec![format!("{kind}: {}", self.message)];
        let mut source = self.source.as_deref().map(|source| source as &dyn StdError);
        while let Some(cause) = source {
            lines.push(format!("caused by: {}", plain(cause)));
            source = cause.source();
        }
        lines.extend(self.hint.iter().map(|hint| format!("hint: {hint}")));
        lines
    }

    /// Returns what the person can do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl<E> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: fmt::Debug> StdError for Error<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_stand_without_their_number() {
        let missing = std::io::Error::from_raw_os_error(nix::libc::ENOENT);
        assert_eq!(in_words(&missing), "No such file or directory");
        let error = Error::failed("cannot read x").caused_by(missing);
        assert_eq!(error.lines("error"), ["error: cannot read x", "caused by: No such file or directory"]);
        let told_on = std::io::Error::other("it said: Is a directory (os error 21), twice\n");
        assert_eq!(in_words(&told_on), "it said: Is a directory, twice");
    }

    #[test]
    fn an_error_is_shown_with_each_cause_and_with_what_helps() {
        let inner = std::io::Error::other(std::io::Error::other("no space left on device"));
        let error = Error::failed("cannot write status.json").caused_by(inner).hinted("free some space");
        let expected = [
            "error: cannot write status.json",
            "caused by: no space left on device",
            "hint: free some space",
        ];
        assert_eq!(error.lines("error"), expected);
        assert_eq!(Error::failed("x").lines("config error"), ["config error: x"]);
    }

    #[test]
    fn every_cause_is_told_once_and_in_its_order() {
        let error = Error::failed("outer").caused_by(Error::failed("middle").caused_by("inner"));
        assert_eq!(in_words(&error), "outer: middle: inner");
        assert_eq!(in_words(&Error::failed("alone")), "alone");
    }
}
