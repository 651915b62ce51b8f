//! Private keys in files: found, checked as OpenSSH checks them, unlocked once per run.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::{Certificate, PrivateKey, PublicKey, decode_secret_key};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

use super::client::{Prompt, Prompter, ask};
use super::settings::{IdentityFile, IdentityOrigin, Settings};

/// A key file that can be offered, or why it cannot.
#[derive(Debug, Clone)]
pub(super) enum Identity {
    /// The key itself.
    Open(Arc<PrivateKey>),
    /// Encrypted; the public half is known unless the format hides it.
    Locked(Option<Box<PublicKey>>),
    /// Not there, and nobody asked for it.
    Absent,
    /// Of no use.
    Unusable {
        /// What is wrong.
        reason: String,
        /// The command that fixes it.
        remedy: Option<String>,
    },
}

/// The key files of one run.
#[derive(Debug, Default)]
pub(super) struct Identities {
    loaded: Mutex<HashMap<PathBuf, Identity>>,
    unlocked: Mutex<HashMap<PathBuf, Arc<OnceCell<Unlocked>>>>,
    certificates: Mutex<HashMap<PathBuf, Result<Option<Certificate>, String>>>,
}

type Unlocked = Result<Arc<PrivateKey>, String>;

/// Keys are a few KiB; anything much larger is no key.
const MAX_BYTES: u64 = 1 << 20;

/// Passphrases asked for per key.
const PASSPHRASE_TRIES: usize = 3;

impl Identities {
    /// Whether all files these settings name have been read.
    pub(super) fn has_read(&self, settings: &Settings) -> bool {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        settings.identities.iter().all(|file| {
            loaded.contains_key(&file.path)
                && certificates.contains_key(&with_suffix(&file.path, "-cert.pub"))
        }) && settings.certificates.iter().all(|path| certificates.contains_key(path))
    }

    /// Returns what is in a key file. Read once per run.
    pub(super) fn load(&self, file: &IdentityFile) -> Identity {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = loaded.entry(file.path.clone()).or_insert_with(|| read_identity(&file.path)).clone();
        match (identity, file.origin) {
            (Identity::Absent, IdentityOrigin::Configured) => Identity::Unusable {
                reason: "no such file".to_owned(),
                remedy: Some(format!("ssh-keygen -f {}, or name another key", file.path.display())),
            },
            (identity, _) => identity,
        }
    }

    /// Returns the certificate in a file, or nothing if there is no such file.
    pub(super) fn certificate(&self, path: &Path) -> Result<Option<Certificate>, String> {
        let mut certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        certificates.entry(path.to_owned()).or_insert_with(|| read_certificate(path)).clone()
    }

    /// Returns the key in an encrypted file. Asks once per run, whoever comes first.
    pub(super) async fn unlock(&self, path: &Path, prompter: Option<&Prompter>) -> Unlocked {
        let cell = {
            let mut unlocked = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(unlocked.entry(path.to_owned()).or_default())
        };
        cell.get_or_init(|| ask_and_decrypt(path.to_owned(), prompter.cloned())).await.clone()
    }
}

async fn ask_and_decrypt(path: PathBuf, prompter: Option<Prompter>) -> Unlocked {
    let Some(prompter) = prompter else {
        return Err("encrypted, and there is nobody to ask for its passphrase".to_owned());
    };
    let text = Arc::new(read_text(&path).map_err(|e| e.to_string())?);
    for attempt in 0..PASSPHRASE_TRIES {
        let prompt = Prompt::Passphrase { key: path.clone(), attempt };
        let Some(passphrase) = ask(&prompter, prompt).await else {
            return Err("encrypted, and no passphrase was given".to_owned());
        };
        let text = Arc::clone(&text);
        // The derivation takes a good part of a second by design.
        let decrypted = tokio::task::spawn_blocking(move || decrypt(&text, &passphrase)).await;
        if let Ok(Some(key)) = decrypted {
            return Ok(Arc::new(key));
        }
    }
    Err(format!("encrypted, and {PASSPHRASE_TRIES} passphrases were wrong"))
}

fn decrypt(text: &str, passphrase: &SecretString) -> Option<PrivateKey> {
    decode_secret_key(text, Some(passphrase.expose_secret())).ok()
}

fn read_identity(path: &Path) -> Identity {
    let unusable = |reason: String, remedy| Identity::Unusable { reason, remedy };
    let text = match check_permissions(path) {
        Ok(None) => match read_text(path) {
            Ok(text) => text,
            Err(e) => return unreadable(path, &e),
        },
        Ok(Some(mode)) => {
            return unusable(
                format!("others can read it (mode {mode:04o}), so it is not used"),
                Some(format!("chmod 600 {}", path.display())),
            );
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Identity::Absent,
        Err(e) => return unreadable(path, &e),
    };
    match decode_secret_key(&text, None) {
        Ok(key) => Identity::Open(Arc::new(key)),
        Err(russh::keys::Error::KeyIsEncrypted) => Identity::Locked(public_half(path, &text).map(Box::new)),
        Err(_) if looks_encrypted(&text) => Identity::Locked(public_half(path, &text).map(Box::new)),
        Err(e) => unusable(format!("holds no private key we can read: {e}"), None),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Identity {
    Identity::Unusable {
        reason: format!("cannot be read: {error}"),
        remedy: Some(format!("make {} a file that you can read, or name another key", path.display())),
    }
}

/// Returns the mode if it lets others in. Like OpenSSH, only our own files are judged.
fn check_permissions(path: &Path) -> io::Result<Option<u32>> {
    let metadata = std::fs::metadata(path)?;
    let mode = metadata.permissions().mode() & 0o7777;
    let ours = metadata.uid() == nix::unistd::getuid().as_raw();
    Ok((ours && mode & 0o077 != 0).then_some(mode))
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// The formats older than OpenSSH's own say so in the clear.
fn looks_encrypted(text: &str) -> bool {
    text.contains("ENCRYPTED")
}

fn public_half(path: &Path, text: &str) -> Option<PublicKey> {
    if let Ok(locked) = PrivateKey::from_openssh(text) {
        return Some(locked.public_key().clone());
    }
    public_file(path)
}

/// Returns the public key in `<path>.pub`, if there is one.
pub(super) fn public_file(path: &Path) -> Option<PublicKey> {
    PublicKey::from_openssh(read_text(&with_suffix(path, ".pub")).ok()?.trim()).ok()
}

fn read_certificate(path: &Path) -> Result<Option<Certificate>, String> {
    match read_text(path) {
        Ok(text) => {
            Certificate::from_openssh(text.trim()).map(Some).map_err(|e| format!("holds no certificate: {e}"))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("cannot be read: {e}")),
    }
}

/// Returns `path` with `suffix` after its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
