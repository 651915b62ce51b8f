//! A sink of the inventory with what it needs at hand.

use std::path::{Path, PathBuf};

use agent_runner_inventory::{LocalPath, Sink};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Where messages go.
#[derive(Debug, Clone)]
pub enum Place {
    /// An Alertmanager, by its base URL.
    Alertmanager {
        /// The base URL.
        url: String,
    },
    /// Anything that takes a POST.
    Webhook {
        /// The URL; its path may be a secret.
        url: String,
        /// The key bodies are signed with.
        key: Option<SecretString>,
    },
    /// A file.
    Jsonl {
        /// The file.
        path: PathBuf,
    },
}

/// Why a sink of the inventory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// A path needs a home folder and there is none.
    #[error("{0} needs a home folder, and HOME is not set")]
    NoHome(String),
    /// The key cannot be read.
    #[error("the key {} of a webhook", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file with the key is empty.
    #[error("the key {} of a webhook is empty", .0.display())]
    NoKey(PathBuf),
}

impl Place {
    /// Returns a sink of the inventory; reads a webhook's key.
    ///
    /// # Errors
    /// When a path cannot be resolved or the key cannot be read.
    pub fn of(sink: &Sink, home: Option<&Path>) -> Result<Place, PlaceError> {
        let resolve = |path: &LocalPath| {
            path.resolve(home).map_err(|_| PlaceError::NoHome(path.as_written().to_owned()))
        };
        Ok(match sink {
            Sink::Alertmanager { url } => Place::Alertmanager { url: url.clone() },
            Sink::Webhook { url, secret_file } => {
                let read = |path: &LocalPath| {
                    let path = resolve(path)?;
                    let key = std::fs::read_to_string(&path)
                        .map_err(|source| PlaceError::Key { path: path.clone(), source })?;
                    let key = key.trim();
                    if key.is_empty() { Err(PlaceError::NoKey(path)) } else { Ok(SecretString::from(key)) }
                };
                Place::Webhook { url: url.clone(), key: secret_file.as_ref().map(read).transpose()? }
            }
            Sink::Jsonl { path } => Place::Jsonl { path: resolve(path)? },
        })
    }

    /// Returns its name: what it is and where, without the path of a URL, which may be a secret; eight digits of a
    /// digest tell two of one server apart.
    pub fn name(&self) -> String {
        let server = |url: &str| {
            let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
            let server = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let digest = data_encoding::HEXLOWER.encode(Sha256::digest(url).get(..4).unwrap_or_default());
            format!("{scheme}://{server} #{digest}")
        };
        match self {
            Place::Alertmanager { url } => format!("alertmanager {}", server(url)),
            Place::Webhook { url, .. } => format!("webhook {}", server(url)),
            Place::Jsonl { path } => format!("jsonl {}", path.display()),
        }
    }
}

/// Returns the key's bytes.
pub(super) fn exposed(key: &SecretString) -> &[u8] {
    key.expose_secret().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sinks_name_shows_its_server_and_no_secret() {
        let hook =
            |path: &str| Place::Webhook { url: format!("https://hooks.example.org/{path}"), key: None };
        let name = hook("T0/secret").name();
        assert!(name.starts_with("webhook https://hooks.example.org #"), "{name}");
        assert!(!name.contains("secret"));
        assert_ne!(name, hook("T0/other").name());
    }
}
