//! Which keys to offer a host, and in which order.

use std::path::PathBuf;
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};

use super::client::Shared;
use super::identity::{Identity, public_file, with_suffix};
use super::offer::{Offer, OfferKind, OfferResult};
use super::settings::{IdentityFile, Settings};
use super::signing::SignedBy;

/// Something to offer, and what signs for it.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) proof: Proof,
    pub(super) signer: SignedBy,
    name: String,
}

/// What the host is shown.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

/// Everything there is to offer, in no order yet.
#[derive(Debug, Default)]
pub(super) struct Found {
    files: Vec<FoundFile>,
    certificates: Vec<(PathBuf, Certificate)>,
    held: Vec<AgentIdentity>,
}

/// A key file whose public half is known.
#[derive(Debug)]
struct FoundFile {
    path: PathBuf,
    public: PublicKey,
    /// What signs if the agent does not; nothing if only the public half is of use.
    signer: Option<SignedBy>,
}

/// Returns what is in the configured files and the agent. What is of no use goes into `offers`.
pub(super) async fn find(
    shared: &Shared,
    settings: &Settings,
    held: Vec<AgentIdentity>,
    offers: &mut Vec<Offer>,
) -> Found {
    let mut found = Found { held, ..Found::default() };
    let mut unusable = |kind, path: &PathBuf, (reason, remedy)| {
        let name = path.display().to_string();
        offers.push(Offer { kind, name, result: OfferResult::Unusable { reason, remedy } });
    };
    for (path, read) in read_certificates(shared, settings).await {
        match read {
            Ok(Some(certificate)) => found.certificates.push((path, certificate)),
            Ok(None) if settings.certificates.contains(&path) => {
                unusable(OfferKind::Certificate, &path, ("no such file".to_owned(), None));
            }
            Ok(None) => {}
            Err(reason) => unusable(OfferKind::Certificate, &path, (reason, None)),
        }
    }
    for (file, identity, beside) in read_identities(shared, settings).await {
        let path = file.path;
        let (public, signer) = match identity {
            Identity::Open(key) => (Some(key.public_key().clone()), Some(SignedBy::Key(key))),
            Identity::Locked(Some(public)) => (Some(*public), Some(SignedBy::Locked(path.clone()))),
            // The format hides the public half: only the passphrase tells what to offer.
            Identity::Locked(None) if settings.asks_nobody => {
                let reason = "encrypted, and BatchMode asks nobody".to_owned();
                unusable(OfferKind::KeyFile, &path, (reason, None));
                continue;
            }
            Identity::Locked(None) => match shared.unlock(&path).await {
                Ok(key) => (Some(key.public_key().clone()), Some(SignedBy::Key(key))),
                Err(reason) => {
                    unusable(OfferKind::KeyFile, &path, (reason, None));
                    continue;
                }
            },
            Identity::Absent => (beside, None),
            Identity::Unusable { reason, remedy } => {
                // The agent may hold what the file does not give us.
                unusable(OfferKind::KeyFile, &path, (reason, remedy));
                (beside, None)
            }
        };
        if let Some(public) = public {
            found.files.push(FoundFile { path, public, signer });
        }
    }
    found
}

/// Returns what to offer, in OpenSSH's order: the agent's keys that are configured, the agent's
/// others, then key files, those that need a passphrase last. A certificate goes before its key.
pub(super) fn in_order(found: &Found, settings: &Settings) -> Vec<Candidate> {
    let held = |key: &KeyData| found.held.iter().any(|id| held_key(id).is_some_and(|k| k.key_data() == key));
    let mut configured = Vec::new();
    let (mut open, mut locked) = (Vec::new(), Vec::new());
    for file in &found.files {
        let in_agent = held(file.public.key_data());
        let signer = if in_agent { Some(SignedBy::Agent) } else { file.signer.clone() };
        let Some(signer) = signer else { continue };
        let list = match &signer {
            SignedBy::Agent => &mut configured,
            SignedBy::Key(_) => &mut open,
            SignedBy::Locked(_) => &mut locked,
        };
        for (path, certificate) in
            found.certificates.iter().filter(|(_, c)| c.public_key() == file.public.key_data())
        {
            list.push(Candidate::certificate(certificate, signer.clone(), path.display().to_string()));
        }
        list.push(Candidate {
            proof: Proof::Key(file.public.clone()),
            signer,
            name: file.path.display().to_string(),
        });
    }
    let mut others = Vec::new();
    if !settings.identities_only {
        for identity in &found.held {
            match identity {
                AgentIdentity::Certificate { certificate, comment } => {
                    others.push(Candidate::certificate(certificate, SignedBy::Agent, comment.clone()));
                }
                AgentIdentity::PublicKey { key, comment } => {
                    if !found.files.iter().any(|file| file.public.key_data() == key.key_data()) {
                        let (proof, name) = (Proof::Key(key.clone()), comment.clone());
                        others.push(Candidate { proof, signer: SignedBy::Agent, name });
                    }
                }
            }
        }
    }
    configured.into_iter().chain(others).chain(open).chain(locked).collect()
}

impl Candidate {
    fn certificate(certificate: &Certificate, signer: SignedBy, name: String) -> Self {
        Self { proof: Proof::Certificate(Box::new(certificate.clone())), signer, name }
    }

    /// How it is named in the account.
    pub(super) fn label(&self) -> (OfferKind, String) {
        match (&self.proof, &self.signer) {
            (Proof::Certificate(certificate), _) => {
                (OfferKind::Certificate, format!("{} ({})", self.name, certificate.key_id()))
            }
            (Proof::Key(key), SignedBy::Agent) => {
                (OfferKind::AgentKey, format!("{} {}", key.fingerprint(HashAlg::Sha256), self.name))
            }
            (Proof::Key(_), SignedBy::Key(_) | SignedBy::Locked(_)) => {
                (OfferKind::KeyFile, self.name.clone())
            }
        }
    }

    /// The fingerprint of the key, as hosts and people name it.
    pub(super) fn fingerprint(&self) -> String {
        match &self.proof {
            Proof::Key(key) => key.fingerprint(HashAlg::Sha256).to_string(),
            Proof::Certificate(certificate) => {
                certificate.public_key().fingerprint(HashAlg::Sha256).to_string()
            }
        }
    }

    pub(super) fn is_rsa(&self) -> bool {
        match &self.proof {
            Proof::Key(key) => key.algorithm().is_rsa(),
            Proof::Certificate(certificate) => matches!(certificate.algorithm(), Algorithm::Rsa { .. }),
        }
    }
}

fn held_key(identity: &AgentIdentity) -> Option<&PublicKey> {
    match identity {
        AgentIdentity::PublicKey { key, .. } => Some(key),
        AgentIdentity::Certificate { .. } => None,
    }
}

type ReadCertificate = (PathBuf, Result<Option<Certificate>, String>);

/// The configured certificates, and those beside the key files.
async fn read_certificates(shared: &Shared, settings: &Settings) -> Vec<ReadCertificate> {
    let beside = settings.identities.iter().map(|file| with_suffix(&file.path, "-cert.pub"));
    let mut paths: Vec<PathBuf> = settings.certificates.clone();
    paths.extend(beside.filter(|path| !settings.certificates.contains(path)));
    let identities = Arc::clone(&shared.identities);
    let read = move || paths.into_iter().map(|path| (path.clone(), identities.certificate(&path))).collect();
    off_the_runtime(shared, settings, read).await
}

/// The key files, and the public keys beside those that give none themselves.
async fn read_identities(
    shared: &Shared,
    settings: &Settings,
) -> Vec<(IdentityFile, Identity, Option<PublicKey>)> {
    let (identities, files) = (Arc::clone(&shared.identities), settings.identities.clone());
    let read = move || {
        let read = files.into_iter().map(|file| {
            let identity = identities.load(&file);
            let beside = match identity {
                Identity::Open(_) | Identity::Locked(_) => None,
                Identity::Absent | Identity::Unusable { .. } => public_file(&file.path),
            };
            (file, identity, beside)
        });
        read.collect()
    };
    off_the_runtime(shared, settings, read).await
}

/// Reads files on a thread of their own the first time; after that everything comes from memory,
/// and a thread per host would cost more than the login.
async fn off_the_runtime<T: Send + 'static>(
    shared: &Shared,
    settings: &Settings,
    read: impl FnOnce() -> Vec<T> + Send + 'static,
) -> Vec<T> {
    if shared.identities.has_read(settings) {
        return read();
    }
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use russh::keys::PrivateKey;
    use russh::keys::key::safe_rng;

    use super::*;

    fn key() -> Arc<PrivateKey> {
        Arc::new(PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap())
    }

    #[test]
    fn the_agents_configured_keys_come_first_and_passphrases_last() {
        let [open, locked, both, other] = [key(), key(), key(), key()];
        let file = |name: &str, key: &Arc<PrivateKey>, signer| FoundFile {
            path: PathBuf::from(name),
            public: key.public_key().clone(),
            signer,
        };
        let held = |key: &Arc<PrivateKey>, comment: &str| AgentIdentity::PublicKey {
            key: key.public_key().clone(),
            comment: comment.to_owned(),
        };
        let found = Found {
            files: vec![
                file("locked", &locked, Some(SignedBy::Locked(PathBuf::from("locked")))),
                file("open", &open, Some(SignedBy::Key(Arc::clone(&open)))),
                file("both", &both, None),
                file("public only", &key(), None),
            ],
            certificates: Vec::new(),
            held: vec![held(&other, "other"), held(&both, "both in agent")],
        };
        let names =
            |settings: &Settings| in_order(&found, settings).into_iter().map(|c| c.name).collect::<Vec<_>>();
        let mut settings = Settings::new("pi", "me");
        assert_eq!(names(&settings), ["both", "other", "open", "locked"]);
        settings.identities_only = true;
        assert_eq!(names(&settings), ["both", "open", "locked"]);
    }
}
