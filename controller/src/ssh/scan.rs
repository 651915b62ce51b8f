//! Asking a host for its keys without logging in, and recording them once somebody has looked.

use std::sync::Arc;

use russh::keys::{HashAlg, PublicKey};

use super::client::Client;
use super::error::{SshError, Unreachable};
use super::host_keys::{HostName, Verdict, verdict};
use super::settings::{Settings, Strictness};

/// A key that a host shows.
#[derive(Debug, Clone)]
pub struct OfferedKey {
    /// Its type.
    pub algorithm: String,
    /// Its SHA256 fingerprint.
    pub fingerprint: String,
    /// The picture `ssh-keygen -lv` draws of it.
    pub randomart: String,
    /// What the records say about it now.
    pub verdict: Verdict,
    key: PublicKey,
}

/// The types asked for, one connection each.
const TYPES: [&str; 3] = ["ssh-ed25519", "ecdsa-sha2-*", "rsa-sha2-*"];

impl Client {
    /// Asks a host for its keys, of every type it has.
    ///
    /// # Errors
    /// If it shows none, or the records cannot be read.
    pub async fn scan(&self, settings: &Settings) -> Result<Vec<OfferedKey>, SshError> {
        let known = self.known_hosts(settings).await?;
        let host = HostName::new(&settings.address, settings.port, settings.host_key_alias.as_deref());
        let mut stranger = settings.clone();
        stranger.user_known_hosts.clear();
        stranger.global_known_hosts.clear();
        stranger.strictness = Strictness::Strict;
        let (mut offered, mut failure) = (Vec::new(), None);
        for kind in TYPES {
            stranger.algorithms.host_keys = Some(kind.to_owned());
            // Nothing is recorded for a stranger, so this never gets as far as a login.
            let Err(error) = self.establish(&stranger).await else { continue };
            let SshError::Unreachable { cause, .. } = &error else { return Err(error) };
            if let Unreachable::HostKeyUnknown { key, .. } = cause.as_ref() {
                offered.push(OfferedKey {
                    algorithm: key.algorithm().to_string(),
                    fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
                    randomart: randomart(key),
                    verdict: verdict(&known, &host, key),
                    key: PublicKey::clone(key),
                });
            } else if matches!(cause.as_ref(), Unreachable::Handshake { .. }) {
                // It has no key of this type.
                failure = Some(error);
            } else {
                return Err(error);
            }
        }
        match failure {
            Some(error) if offered.is_empty() => Err(error),
            _ => Ok(offered),
        }
    }

    /// Records keys that [`scan`](Self::scan) returned, and returns what the records then say about each.
    ///
    /// A key that contradicts what was recorded before is not recorded.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn trust(&self, settings: &Settings, offered: &[OfferedKey]) -> Result<Vec<Verdict>, SshError> {
        let host = HostName::new(&settings.address, settings.port, settings.host_key_alias.as_deref());
        let (store, files) = (Arc::clone(self.host_key_files()), settings.known_hosts_files());
        let names = settings.record_names;
        let keys: Vec<PublicKey> = offered.iter().map(|offered| offered.key.clone()).collect();
        let recorded = super::handshake::blocking(move || store.record(&files, &host, &keys, names)).await;
        recorded.map_err(|cause| SshError::no_connection(&settings.name, cause))
    }
}

fn randomart(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_randomart(&format!("[{}]", key.algorithm()))
}
