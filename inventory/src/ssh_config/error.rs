//! What can be wrong with an OpenSSH configuration, and what is beyond reading files.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why an OpenSSH configuration could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SshConfigError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line is wrong, as OpenSSH would say too.
    #[error("{}:{line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A file is larger than a configuration may be.
    #[error("{} has more than {limit} bytes, which is the most a configuration may have", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// Others could have written to a file; OpenSSH refuses it too.
    #[error("{} can be written by others than its owner (chmod go-w)", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
    },
}

/// A setting that applies to a host and that reading files cannot settle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The keyword as OpenSSH's manual spells it; as written if it is not known.
    pub keyword: String,
    /// The file; empty if the setting came from `ssh -G`.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// Why it could not be settled.
    pub why: Why,
}

/// Why a setting could not be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// OpenSSH can settle it: ask `ssh -G`.
    AskSsh(String),
    /// The keyword is not one of OpenSSH 10 or older; the installed `ssh` may know it.
    UnknownKeyword,
    /// The value cannot be worked out, by ssh neither: the host must not be connected to as if it were not there.
    Invalid(String),
    /// It is clear what is wanted, and we do not offer it.
    NotOffered(String),
}

impl Unsupported {
    /// Whether `ssh -G` would help.
    pub fn ssh_can_tell(&self) -> bool {
        match self.why {
            Why::AskSsh(_) | Why::UnknownKeyword => true,
            Why::Invalid(_) | Why::NotOffered(_) => false,
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}:{}: ", self.file.display(), self.line)?;
        }
        match &self.why {
            Why::AskSsh(what) => write!(f, "{}: {what}; only ssh itself can tell", self.keyword),
            Why::UnknownKeyword => write!(f, "unknown keyword {:?}", self.keyword),
            Why::Invalid(what) | Why::NotOffered(what) => write!(f, "{}: {what}", self.keyword),
        }
    }
}
