//! Throw-away key pairs, made by `ssh-keygen`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::run::checked;
use crate::wait;

/// What a key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `ssh-ed25519`.
    Ed25519,
    /// `ssh-rsa`, 3072 bits: takes about a second to make.
    Rsa,
    /// `ecdsa-sha2-nistp256`.
    Ecdsa,
}

impl KeyKind {
    /// The name `ssh-keygen -t` knows it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
            Self::Ecdsa => "ecdsa",
        }
    }
}

/// A private key file and, next to it, the public one.
#[derive(Debug, Clone)]
pub struct Key {
    path: PathBuf,
}

impl Key {
    /// Makes a key pair at `path` and `path.pub`, replacing what is there; `passphrase` may be empty.
    ///
    /// # Errors
    /// Where `ssh-keygen` is missing or fails.
    pub fn generate(path: impl Into<PathBuf>, kind: KeyKind, passphrase: &str) -> anyhow::Result<Self> {
        let key = Self { path: path.into() };
        for old in [key.path.clone(), key.public_path()] {
            match fs::remove_file(&old) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| old.display().to_string());
                }
                Ok(()) | Err(_) => {}
            }
        }
        let path = key.path.to_str().context("the path of a key is not UTF-8")?;
        let arguments = ["-q", "-t", kind.name(), "-N", passphrase, "-C", "throw-away test key", "-f", path];
        checked("ssh-keygen", &arguments, wait::DEADLINE)?;
        Ok(key)
    }

    /// The key pair that is at `path` already.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The private key's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The public key's file.
    #[must_use]
    pub fn public_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".pub");
        path.into()
    }

    /// The public key as `authorized_keys` and `known_hosts` hold it: algorithm and base64, no comment.
    ///
    /// # Errors
    /// Where the file cannot be read or is not a public key.
    pub fn public(&self) -> anyhow::Result<String> {
        let path = self.public_path();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut words = text.split_whitespace();
        let (algorithm, base64) = words.next().zip(words.next()).context("not a public key")?;
        Ok(format!("{algorithm} {base64}"))
    }
}
