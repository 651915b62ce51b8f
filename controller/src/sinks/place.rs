//! A sink of the inventory with what it needs at hand.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use agent_runner::store::regular;
use agent_runner_inventory::{LocalPath, Sink};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The longest key, in bytes.
const LONGEST: u64 = 4096;

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
    /// Others can read the key.
    #[error("the key {} of a webhook can be read by others (mode {mode:03o})", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
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
                let read = |path: &LocalPath| key(&resolve(path)?);
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

/// Reads a key from a file that nobody else can read.
fn key(path: &Path) -> Result<SecretString, PlaceError> {
    let failed = |source| PlaceError::Key { path: path.to_owned(), source };
    let file = regular::open_regular(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PlaceError::Open { path: path.to_owned(), mode });
    }
    let bytes = regular::read_all(file, LONGEST).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|_| failed(io::Error::other("it is no text")))?;
    match text.trim() {
        "" => Err(PlaceError::NoKey(path.to_owned())),
        key => Ok(SecretString::from(key)),
    }
}

/// Returns the key's bytes.
pub(super) fn exposed(key: &SecretString) -> &[u8] {
    key.expose_secret().as_bytes()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_that_others_can_read_or_that_has_no_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let with = |text: &str, mode| {
            agent_runner::store::atomic::replace_with_mode(&path, text.as_bytes(), mode).unwrap();
            key(&path)
        };
        assert_eq!(exposed(&with(" a-key\n", 0o600).unwrap()), b"a-key");
        let open = with("a-key", 0o640).unwrap_err().to_string();
        assert!(open.ends_with("can be read by others (mode 640)"), "{open}");
        assert!(matches!(with(" \n", 0o600), Err(PlaceError::NoKey(_))));
        assert!(matches!(with(&"x".repeat(5000), 0o600), Err(PlaceError::Key { .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(key(dir.path()), Err(PlaceError::Key { .. })));
    }

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
